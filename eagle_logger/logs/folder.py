"""A log volume as rotation and readers see it: a folder for each hour, in it one for each shard,
and in that the users' open and sealed files.

<root>/node-id
<root>/2015-03-10-17/07/rainforest-002738-2015-03-10-17.jsonl
<root>/quarantine/…
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from eagle_logger.core.hours import Hour, unix
from eagle_logger.core.line_parser import LogLine
from eagle_logger.disk import crash_points
from eagle_logger.disk.atomic_files import (
    UNFINISHED,
    create_file,
    replace_file,
    sync_directory,
    sync_file,
)
from eagle_logger.errors import ConfigurationError
from eagle_logger.logs import file_names
from eagle_logger.logs.disk_errors import concerns_whole_volume, disk_errors
from eagle_logger.logs.file_names import LogFile, SealedFile
from eagle_logger.logs.index_copies import IndexCopies
from eagle_logger.logs.line_reader import BadLine, FileLines, each_line
from eagle_logger.logs.locking import lock_or_not, locked_file
from eagle_logger.logs.quarantine import QUARANTINE, REASON, keep_aside
from eagle_logger.logs.receipt import Receipt
from eagle_logger.logs.stuck import StuckUserHour
from eagle_logger.logs.torn_line import cut_torn_line

__all__ = [
    "BadLine",
    "FileLines",
    "LogFile",
    "LogFolder",
    "Receipt",
    "SealedFile",
    "StuckUserHour",
    "concerns_whole_volume",
]

NODE_ID = "node-id"
LOCKS = "rotating"

_NODE_NAME = re.compile(r"[0-9a-f]{12}")
_SHARD_NAME = re.compile(r"\d{2,}")


class LogFolder:
    """The log files below `root` (settings.logs_dir). Blocking. Several threads and processes may
    use the same folder at once.

    What the operating system refuses is raised as DiskUnavailable, except where a method says
    otherwise. What a method lists may be gone a moment later.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    # Reading ------------------------------------------------------------------------------------

    def node(self) -> str:
        """The name of this log volume, 12 hex digits, made up at first use. Raises
        ConfigurationError if the file that holds it holds anything else."""
        path = self.root / NODE_ID
        with disk_errors(path):
            if not path.exists():
                self.root.mkdir(parents=True, exist_ok=True)
                create_file(path, f"{secrets.token_hex(6)}\n".encode())
            name = path.read_text(errors="replace").strip()
        if not _NODE_NAME.fullmatch(name):
            raise ConfigurationError(
                f"{path} should hold 12 hex digits, the name of this log volume, but it holds "
                f"{name[:40]!r}: delete the file. The volume then gets a new name, which is used "
                "for the queue of its rotators and in the archive's index"
            )
        return name

    def hours(self) -> list[Hour]:
        """The hours that have a folder, oldest first."""
        hours = []
        for name in _folders_in(self.root):
            with suppress(ValueError):
                hours.append(Hour.parse(name))
        return sorted(hours)

    def shards(self, hour: Hour) -> list[str]:
        """The names of the shard folders of this hour."""
        return sorted(
            name for name in _folders_in(self.root / hour.name) if _SHARD_NAME.fullmatch(name)
        )

    def open_files(self, hour: Hour, shard: str) -> list[LogFile]:
        """The files that may still be appended to, in order of cloud id."""
        folder = self._folder(hour, shard)
        files = [file_names.open_file(folder / name) for name in sorted(_names_in(folder))]
        return [file for file in files if file is not None]

    def sealed_files(self, hour: Hour, shard: str) -> list[SealedFile]:
        """The files that are closed for good, in order of cloud id and sequence. A receipt that
        cannot be read, or is another file's, is given as None."""
        return self._sealed_files(hour, shard, "")

    def strays(self, hour: Hour, shard: str) -> list[Path]:
        """Files in the folder that the program does not know: they are neither log files, receipts,
        notes nor unfinished files."""
        folder = self._folder(hour, shard)
        known_endings = (file_names.RECEIPT, file_names.STUCK, UNFINISHED)
        return [
            folder / name
            for name in sorted(_names_in(folder))
            if not name.endswith(known_endings)
            and file_names.open_file(folder / name) is None
            and file_names.numbered(name) is None
        ]

    def open_file_of(self, cloud_id: str, hour: Hour, shard: str) -> LogFile:
        """Where this user's open file of the hour lies, if there is one."""
        name = f"rainforest-{cloud_id}-{hour}{file_names.OPEN}"
        return LogFile(self._folder(hour, shard) / name, cloud_id, hour, shard)

    def sealed_files_of(self, cloud_id: str, hour: Hour, shard: str) -> list[SealedFile]:
        """One user's sealed files, in order. Reads no other user's receipts."""
        return self._sealed_files(hour, shard, f"rainforest-{cloud_id}-")

    def sealed_path(self, cloud_id: str, hour: Hour, shard: str, sequence: int) -> Path:
        """Where this user's sealed file of the hour lies, if there is one of this number. Lists no
        folder."""
        return file_names.sealed_path(self.open_file_of(cloud_id, hour, shard).path, sequence)

    def receipt_of(self, sealed: SealedFile) -> Receipt | None:
        """The receipt that lies beside a sealed file now."""
        return file_names.receipt_of(sealed)

    def unarchived(self, hour: Hour) -> int:
        """How many files of this hour, open or sealed, have no receipt yet. Reads names only. A
        folder that cannot be read counts as one file, because something may wait in it."""
        return self._count(hour, file_names.without_receipt)

    def users_waiting(self, hour: Hour) -> int:
        """How many users have a file of this hour, open or sealed, without a receipt. A folder that
        cannot be read counts as one user."""
        return self._count(hour, file_names.waiting)

    def open_written(self, hour: Hour, after: float, until: float) -> int:
        """How many open files of this hour were last written between these moments (Unix seconds of
        this machine's clock). Folders that cannot be read are left out."""
        count = 0
        with suppress(OSError):
            for shard in self.shards(hour):
                with suppress(OSError):
                    files = self.open_files(hour, shard)
                    count += sum(after < _changed_at(file.path) <= until for file in files)
        return count

    def stuck_in(self, hour: Hour, shard: str) -> dict[str, StuckUserHour]:
        """The notes about this shard's users whose hour cannot be archived, by cloud id. A note
        without a file that waits is left out."""
        folder = self._folder(hour, shard)
        names = _names_in(folder)
        notes = [name for name in names if name.endswith(file_names.STUCK)]
        waiting = file_names.waiting(names) if notes else set()
        stuck = [
            file_names.read_stuck(folder / name)
            for name in notes
            if file_names.user_and_hour_of(name) in waiting
        ]
        return {note.cloud_id: note for note in stuck if note is not None}

    def stuck(self, hour: Hour) -> list[StuckUserHour]:
        """The notes of all shards of the hour, in order of cloud id. Folders that cannot be read
        are left out."""
        notes: list[StuckUserHour] = []
        with suppress(OSError):
            for shard in self.shards(hour):
                with suppress(OSError):
                    notes += self.stuck_in(hour, shard).values()
        return sorted(notes, key=lambda note: note.cloud_id)

    def unindexed_hours(self) -> dict[Hour, float]:
        """The hours with archived parts that the archive's index does not name yet, and the moment
        when the first of these parts was archived (Unix seconds)."""
        return IndexCopies(self.root).unindexed_hours()

    def first_arrival(self, log_file: LogFile) -> float | None:
        """When the file's first reading arrived (Unix seconds of the system's clock): from its
        first readable line, else the time it was last changed; None if the file is gone."""
        try:
            for line in self.each_line(log_file):
                if isinstance(line, LogLine):
                    return unix(datetime.fromisoformat(line.arrived.decode()))
            return log_file.path.stat().st_mtime
        except FileNotFoundError:
            return None

    def each_line(self, file: LogFile | SealedFile) -> Iterator[LogLine | BadLine]:
        """The lines of the file one by one, readable or not, in its order. Raises
        FileNotFoundError."""
        return each_line(file.path, file.cloud_id, still_written=isinstance(file, LogFile))

    def read(self, file: LogFile | SealedFile) -> FileLines:
        """All lines of the file, readable and not. Raises FileNotFoundError."""
        lines = FileLines()
        for line in self.each_line(file):
            if isinstance(line, LogLine):
                lines.readable.append(line)
            else:
                lines.unreadable.append(line)
        return lines

    def kept_aside(self) -> int:
        """How many files are in the quarantine."""
        return sum(not name.endswith(REASON) for name in _names_in(self.root / QUARANTINE))

    def hours_kept_aside(self, cloud_id: str) -> set[Hour]:
        """The hours of this user of which something is in the quarantine."""
        hours = set()
        for name in _names_in(self.root / QUARANTINE):
            begin, has_id, rest = name.partition(f"rainforest-{cloud_id}-")
            if has_id and not begin:
                with suppress(ValueError):
                    hours.add(Hour.parse(rest[: len("2015-03-10-17")]))
        return hours

    # Changing -----------------------------------------------------------------------------------

    @contextmanager
    def rotating(self, hour: Hour, shard: str) -> Iterator[bool]:
        """Lock a shard's folder against all other rotators of this volume. False if another one has
        locked it. Writers are not held up.

        At the end, it makes the names of the files that were sealed in the block durable, clears
        away what a killed rotator left, and removes empty folders.
        """
        with ExitStack() as held:
            with disk_errors(self.root):
                (self.root / LOCKS).mkdir(parents=True, exist_ok=True)
                locked = held.enter_context(lock_or_not(self.root / LOCKS / f"{hour}.{shard}"))
            yield locked
            if locked:
                with disk_errors(self.root):
                    with suppress(FileNotFoundError):
                        sync_directory(self._folder(hour, shard))
                    self._clear_shard(hour, shard)
                    self._clear_locks_and_oldest_hour()

    def seal(self, log_file: LogFile) -> SealedFile | None:
        """Close a log file for good: no line is ever added to a sealed file. A torn last line is
        cut off and kept aside.

        None if there is nothing to seal, because the file is gone, or because it held no line and
        is removed now. The file's lines are durable then. Its new name becomes durable only when
        the folder is synced: after a power loss before that, the file has its old name, and is
        sealed again.
        """
        path = log_file.path
        with disk_errors(path), locked_file(path) as fd:
            if fd is None:
                return None
            size, _ = cut_torn_line(fd, path.name, self.root, os.fstat(fd).st_size)
            if size == 0:
                crash_points.unlink(path)
                with suppress(FileNotFoundError):
                    sync_directory(path.parent)
                return None
            crash_points.fsync(fd)
            sequence = file_names.next_sequence(path)
            sealed_path = file_names.sealed_path(path, sequence)
            crash_points.rename(path, sealed_path)
        return SealedFile(
            sealed_path, log_file.cloud_id, log_file.hour, log_file.shard, sequence, None
        )

    def split(self, sealed: SealedFile, most: int) -> list[SealedFile]:
        """Replace a sealed file that is not archived by several of fewer than `most` bytes, and
        return these.

        After a crash in between, the large file lies beside some of its pieces. Some lines are then
        there twice; the archive holds them once.
        """
        open_path = self.open_file_of(sealed.cloud_id, sealed.hour, sealed.shard).path
        pieces = []
        with disk_errors(sealed.path):
            with sealed.path.open("rb") as file:
                while lines := file.readlines(most // 2):
                    sequence = file_names.next_sequence(open_path)
                    path = file_names.sealed_path(open_path, sequence)
                    create_file(path, b"".join(lines))
                    pieces.append(replace(sealed, path=path, sequence=sequence, receipt=None))
            crash_points.unlink(sealed.path)
        return pieces

    def write_receipt(self, sealed: SealedFile, receipt: Receipt) -> SealedFile:
        """Write the receipt beside the file, and return the file as it is listed from now on.
        Raises ValueError if the receipt is another file's.

        The receipt is synced only before the file is removed. If a power loss leaves no receipt, or
        half of one, the file is archived once more, which finds that the archive has it.
        """
        if (receipt.cloud_id, receipt.hour) != (sealed.cloud_id, sealed.hour):
            raise ValueError(
                f"a receipt for {receipt.cloud_id} {receipt.hour} does not belong to "
                f"{sealed.path.name}"
            )
        with disk_errors(sealed.receipt_path):
            replace_file(sealed.receipt_path, receipt.to_json(), durable=False)
        return replace(sealed, receipt=receipt)

    def note_stuck(self, shard: str, stuck: StuckUserHour) -> None:
        """Write down why this user's hour cannot be archived. The note replaces an earlier one."""
        path = self._stuck_path(shard, stuck)
        with disk_errors(path):
            replace_file(path, stuck.to_json(), durable=False)

    def forget_stuck(self, shard: str, stuck: StuckUserHour) -> None:
        """Delete the note: the hour is archived."""
        path = self._stuck_path(shard, stuck)
        with disk_errors(path), suppress(FileNotFoundError):
            crash_points.unlink(path)

    def remove(self, sealed: SealedFile) -> None:
        """Make a sealed file's receipt durable, then delete the file, the receipt, and folders that
        are empty now. Does nothing if the file is gone.

        Raises ValueError if it has no receipt: what is not archived is never deleted.
        """
        listed = file_names.sealed_file(sealed.path)
        with disk_errors(sealed.path):
            if sealed.path.exists():
                if listed is None or listed.receipt is None:
                    raise ValueError(f"{sealed.path.name} has no receipt")
                sync_file(sealed.receipt_path)
                crash_points.unlink(sealed.path)
            with suppress(FileNotFoundError):
                crash_points.unlink(sealed.receipt_path)
            self._remove_empty(sealed.path.parent)

    def quarantine(self, name: str, content: bytes, reason: str) -> Path:
        """Keep what cannot be used aside under `<root>/quarantine/`, with the reason beside it
        (`.reason`), and return where. Never overwrites; the same name and content again changes
        nothing."""
        with disk_errors(self.root):
            return keep_aside(self.root, name, content, reason)

    def set_aside(self, sealed: SealedFile, reason: str) -> Path:
        """Move a sealed file that can never be archived into the quarantine, and return where it
        lies now."""
        with disk_errors(sealed.path):
            kept = keep_aside(self.root, sealed.path.name, sealed.path.read_bytes(), reason)
            crash_points.unlink(sealed.path)
            self._remove_empty(sealed.path.parent)
        return kept

    # --------------------------------------------------------------------------------------------

    def _folder(self, hour: Hour, shard: str) -> Path:
        return self.root / hour.name / shard

    def _stuck_path(self, shard: str, stuck: StuckUserHour) -> Path:
        return file_names.stuck_path(self._folder(stuck.hour, shard), stuck.cloud_id, stuck.hour)

    def _sealed_files(self, hour: Hour, shard: str, prefix: str) -> list[SealedFile]:
        folder = self._folder(hour, shard)
        files = [
            file_names.sealed_file(folder / name)
            for name in _names_in(folder)
            if name.startswith(prefix) and name.endswith(file_names.SEALED)
        ]
        return sorted(
            (file for file in files if file is not None),
            key=lambda file: (file.cloud_id, file.sequence),
        )

    def _count(self, hour: Hour, select: Callable[[Iterable[str]], Sized]) -> int:
        """How many items `select` returns for the names in each shard's folder, summed over the
        hour. A folder that cannot be read counts as one."""
        try:
            shards = self.shards(hour)
        except OSError:
            return 1
        count = 0
        for shard in shards:
            try:
                count += len(select(_names_in(self._folder(hour, shard))))
            except OSError:
                count += 1
        return count

    def _clear_shard(self, hour: Hour, shard: str) -> None:
        """Remove unfinished files, receipts without their file, notes without a file that waits,
        and empty folders. Only the process that holds the shard's lock may call it."""
        folder = self._folder(hour, shard)
        names = set(_names_in(folder))
        waiting = file_names.waiting(names)
        for name in names:
            if name.endswith(file_names.RECEIPT):
                needed = name.removesuffix(file_names.RECEIPT) + file_names.SEALED in names
            elif name.endswith(file_names.STUCK):
                needed = file_names.user_and_hour_of(name) in waiting
            else:
                needed = not name.endswith(UNFINISHED)
            if not needed:
                with suppress(FileNotFoundError):
                    crash_points.unlink(folder / name)
        self._remove_empty(folder)

    def _clear_locks_and_oldest_hour(self) -> None:
        """Remove what killed rotators left elsewhere: locks of folders that are gone, and empty
        folders of the oldest hour."""
        for name in _names_in(self.root / LOCKS):
            hour, _, shard = name.partition(".")
            if not (self.root / hour / shard).exists():
                with lock_or_not(self.root / LOCKS / name):
                    pass  # the lock's file is removed at the end of the block
        for oldest in self.hours()[:1]:
            for shard in [*self.shards(oldest), ""]:
                self._remove_empty(self.root / oldest.name / shard)

    def _remove_empty(self, folder: Path) -> None:
        """Remove this folder and the hour's if they are empty. A writer that needs them makes them
        again."""
        for path in (folder, *file_names.parents_up_to(folder, self.root)[:-1]):
            try:
                crash_points.rmdir(path)
            except FileNotFoundError:
                continue
            except OSError:  # not empty
                return


def _names_in(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _folders_in(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _changed_at(path: Path) -> float:
    """When the file was last changed (Unix seconds); 0 if it is gone."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
