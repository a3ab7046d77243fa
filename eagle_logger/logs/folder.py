"""A log volume as rotation and readers see it: hours, shards, and in these the open and the sealed
files.

<root>/node-id
<root>/2015-03-10-17/07/rainforest-002738-2015-03-10-17.jsonl
<root>/quarantine/…
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
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
from eagle_logger.logs.file_names import LogFile, SealedFile, parents_up_to
from eagle_logger.logs.line_reader import BadLine, LineSource, each_line
from eagle_logger.logs.locking import lock_or_not, locked_file
from eagle_logger.logs.quarantine import FOLDER as QUARANTINE
from eagle_logger.logs.quarantine import REASON, keep_aside
from eagle_logger.logs.receipt import Receipt
from eagle_logger.logs.stuck import StuckUserHour
from eagle_logger.logs.torn_line import repair

__all__ = [
    "BadLine",
    "LineSource",
    "LogFile",
    "LogFolder",
    "Receipt",
    "SealedFile",
    "StuckUserHour",
    "concerns_whole_volume",
]

NODE_ID = "node-id"
LOCKS = "rotating"

_NODE = re.compile(r"[0-9a-f]{12}")
_SHARD = re.compile(r"\d{2,}")


class LogFolder:
    """The log files below `root` (settings.logs_dir). Blocking; safe from several threads and
    processes.

    Whatever the disk refuses is raised as DiskUnavailable. What is listed may be gone a moment
    later.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    # Looking ----------------------------------------------------------------------------------------------------------

    def node(self) -> str:
        """The name of this log volume, 12 hex digits, made up at first use. Raises
        ConfigurationError if the file that holds it holds anything else."""
        path = self.root / NODE_ID
        with disk_errors(path):
            if not path.exists():
                self.root.mkdir(parents=True, exist_ok=True)
                create_file(path, f"{secrets.token_hex(6)}\n".encode())
            name = path.read_text(errors="replace").strip()
        if not _NODE.fullmatch(name):
            raise ConfigurationError(
                f"{path} should hold 12 hex digits, the name of this log volume, but it holds {name[:40]!r}: delete the file. "
                "The volume then gets a new name, which is used only for the queue of its rotators"
            )
        return name

    def hours(self) -> list[Hour]:
        """The hours that have a folder, oldest first."""
        found = []
        for name in _folders(self.root):
            with suppress(ValueError):
                found.append(Hour.parse(name))
        return sorted(found)

    def shards(self, hour: Hour) -> list[str]:
        """The names of the shard folders of this hour."""
        return sorted(name for name in _folders(self.root / hour.name) if _SHARD.fullmatch(name))

    def open_files(self, hour: Hour, shard: str) -> list[LogFile]:
        """The files that may still be appended to, in order of cloud id."""
        found = [
            file_names.open_file(self._path(hour, shard) / name)
            for name in sorted(self._names(hour, shard))
        ]
        return [one for one in found if one is not None]

    def sealed_files(self, hour: Hour, shard: str) -> list[SealedFile]:
        """The files that are closed for good, in order of cloud id and sequence. A receipt that
        cannot be read, or is another file's, is given as None."""
        return self._sealed(hour, shard, "")

    def strays(self, hour: Hour, shard: str) -> list[Path]:
        """Files in the folder that are no log files, receipts or unfinished: nobody looks after
        them."""
        paths = [self._path(hour, shard) / name for name in sorted(self._names(hour, shard))]
        ours = (file_names.RECEIPT, file_names.STUCK, UNFINISHED)
        return [
            path
            for path in paths
            if not path.name.endswith(ours)
            and file_names.open_file(path) is None
            and file_names.numbered(path.name) is None
        ]

    def open_file_of(self, cloud_id: str, hour: Hour, shard: str) -> LogFile:
        """Where this user's open file of the hour lies, if there is one."""
        return LogFile(
            self._path(hour, shard) / f"rainforest-{cloud_id}-{hour}{file_names.OPEN}",
            cloud_id,
            hour,
            shard,
        )

    def sealed_files_of(self, cloud_id: str, hour: Hour, shard: str) -> list[SealedFile]:
        """One user's sealed files, in order; looks into nobody else's receipts."""
        return self._sealed(hour, shard, f"rainforest-{cloud_id}-")

    def receipt_of(self, sealed: SealedFile) -> Receipt | None:
        """The receipt that lies beside a sealed file now."""
        return file_names.receipt_of(sealed)

    def unarchived(self, hour: Hour) -> int:
        """How many files of this hour, open or sealed, have no receipt yet. Reads names only. A
        folder that cannot be read counts as one file, because something may wait in it."""
        try:
            return sum(self._unarchived(hour, shard) for shard in self.shards(hour))
        except OSError:
            return 1

    def open_written(self, hour: Hour, after: float, until: float) -> int:
        """How many open files of this hour were last written between these moments (Unix seconds of
        this machine's clock). Folders that cannot be read are left out."""
        found = 0
        with suppress(OSError):
            for shard in self.shards(hour):
                with suppress(OSError):
                    found += sum(
                        after < _written(file.path) <= until
                        for file in self.open_files(hour, shard)
                    )
        return found

    def users_waiting(self, hour: Hour) -> int:
        """How many users have such files. A folder that cannot be read counts as one user."""
        try:
            return sum(self._users_waiting(hour, shard) for shard in self.shards(hour))
        except OSError:
            return 1

    def stuck_in(self, hour: Hour, shard: str) -> dict[str, StuckUserHour]:
        """The notes about this shard's users whose hour cannot be archived, by cloud id. A note
        without a file that waits is left out."""
        names = self._names(hour, shard)
        notes = [name for name in names if name.endswith(file_names.STUCK)]
        waiting = _waiting(names) if notes else set()
        found = [
            file_names.read_stuck(self._path(hour, shard) / name)
            for name in notes
            if file_names.user_and_hour_of(name) in waiting
        ]
        return {one.cloud_id: one for one in found if one is not None}

    def stuck(self, hour: Hour) -> list[StuckUserHour]:
        """The notes of all shards of the hour, in order of cloud id. Folders that cannot be read
        are left out."""
        found: list[StuckUserHour] = []
        with suppress(OSError):
            for shard in self.shards(hour):
                with suppress(OSError):
                    found += self.stuck_in(hour, shard).values()
        return sorted(found, key=lambda one: one.cloud_id)

    def first_arrival(self, log_file: LogFile) -> float | None:
        """When the file's first reading arrived (Unix seconds of the system's clock): from its
        first readable line, else the time it was last changed; None if the file is gone."""
        try:
            for line in self.each(log_file):
                if isinstance(line, LogLine):
                    return unix(datetime.fromisoformat(line.arrived.decode()))
            return log_file.path.stat().st_mtime
        except FileNotFoundError:
            return None

    def each(self, file: LogFile | SealedFile) -> Iterator[LogLine | BadLine]:
        """The lines of the file one by one, readable or not, in its order. Raises FileNotFoundError
        if it is gone."""
        return each_line(file.path, file.cloud_id, still_written=isinstance(file, LogFile))

    def read(self, file: LogFile | SealedFile) -> LineSource:
        """The same, collected. Raises FileNotFoundError if it is gone."""
        lines = LineSource()
        for line in self.each(file):
            if isinstance(line, LogLine):
                lines.lines.append(line)
            else:
                lines.bad.append(line)
        return lines

    def kept_aside(self) -> int:
        """Files in the quarantine."""
        return sum(not name.endswith(REASON) for name in _listed(self.root / QUARANTINE))

    def free_bytes(self) -> int:
        """How much more an ordinary user may write to the volume."""
        with disk_errors(self.root):
            stat = os.statvfs(self.root)
        return stat.f_bavail * stat.f_frsize

    # Changing ---------------------------------------------------------------------------------------------------------

    @contextmanager
    def rotating(self, hour: Hour, shard: str) -> Iterator[bool]:
        """Have a shard's folder to oneself, among all rotators on this disk; False if another one
        has it now.

        Writers are not held up. At the end the names that were given meanwhile are made durable,
        what a killed rotator left over is cleared away, and empty folders are removed.
        """
        with ExitStack() as held:
            with disk_errors(self.root):
                (self.root / LOCKS).mkdir(parents=True, exist_ok=True)
                mine = held.enter_context(lock_or_not(self.root / LOCKS / f"{hour}.{shard}"))
            yield mine
            if mine:
                with disk_errors(self.root):
                    with suppress(FileNotFoundError):
                        sync_directory(self._path(hour, shard))
                    self._tidy(hour, shard)
                    self._sweep()

    def seal(self, log_file: LogFile) -> SealedFile | None:
        """Close a log file for good: no line is ever added to a sealed file. A torn last line is
        cut off and kept aside.

        None if there is nothing to seal: the file held no line (and is removed), or it is gone. Its
        lines are durable then, its new name only once the folder is synced: power lost before that
        gives it back its old one, and it is sealed again.
        """
        path = log_file.path
        with disk_errors(path), locked_file(path) as fd:
            if fd is None:
                return None
            size, _ = repair(fd, str(path), self.root, os.fstat(fd).st_size)
            if size == 0:
                crash_points.unlink(path)
                with suppress(FileNotFoundError):
                    sync_directory(path.parent)
                return None
            crash_points.fsync(fd)
            sequence = self._next_sequence(path)
            target = file_names.sealed_path(path, sequence)
            crash_points.rename(path, target)
        return SealedFile(target, log_file.cloud_id, log_file.hour, log_file.shard, sequence, None)

    def split(self, sealed: SealedFile, most: int) -> list[SealedFile]:
        """Replace a sealed file that is not archived by several of fewer than `most` bytes; return
        them.

        A crash meanwhile leaves the large file beside some of them. Its lines are then doubled; the
        archive holds them once.
        """
        path = self.open_file_of(sealed.cloud_id, sealed.hour, sealed.shard).path
        pieces = []
        with disk_errors(sealed.path):
            with sealed.path.open("rb") as file:
                while lines := file.readlines(most // 2):
                    sequence = self._next_sequence(path)
                    target = file_names.sealed_path(path, sequence)
                    create_file(target, b"".join(lines))
                    pieces.append(
                        SealedFile(
                            target, sealed.cloud_id, sealed.hour, sealed.shard, sequence, None
                        )
                    )
            crash_points.unlink(sealed.path)
        return pieces

    def write_receipt(self, sealed: SealedFile, receipt: Receipt) -> SealedFile:
        """Keep the proof; the sealed file as it is listed from now on. Raises ValueError for
        another file's.

        It is synced only before the file is removed: without it, or with half of it, the file is
        archived once more, which finds that the archive has it.
        """
        if (receipt.cloud_id, receipt.hour) != (sealed.cloud_id, sealed.hour):
            raise ValueError(
                f"a receipt for {receipt.cloud_id} {receipt.hour} does not belong to {sealed.path.name}"
            )
        with disk_errors(sealed.receipt_path):
            replace_file(sealed.receipt_path, receipt.to_json(), durable=False)
        return SealedFile(
            sealed.path, sealed.cloud_id, sealed.hour, sealed.shard, sealed.sequence, receipt
        )

    def note_stuck(self, shard: str, stuck: StuckUserHour) -> None:
        """Write down why this user's hour cannot be archived. The note replaces an earlier one."""
        path = file_names.stuck_path(self._path(stuck.hour, shard), stuck.cloud_id, stuck.hour)
        with disk_errors(path):
            replace_file(path, stuck.to_json(), durable=False)

    def forget_stuck(self, shard: str, stuck: StuckUserHour) -> None:
        """Delete the note: the hour is archived."""
        path = file_names.stuck_path(self._path(stuck.hour, shard), stuck.cloud_id, stuck.hour)
        with disk_errors(path), suppress(FileNotFoundError):
            crash_points.unlink(path)

    def remove(self, sealed: SealedFile) -> None:
        """Delete a sealed file once its receipt is durable, then that, then folders that are empty.
        Does nothing if the file is gone.

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
            self._prune(sealed.path.parent)

    def quarantine(self, name: str, content: bytes, reason: str) -> Path:
        """Keep what cannot be used aside under `<root>/quarantine/`, with the reason beside it
        (`.reason`), and return where. Never overwrites; the same name and content again changes
        nothing."""
        with disk_errors(self.root):
            return keep_aside(self.root, name, content, reason)

    def set_aside(self, sealed: SealedFile, reason: str) -> Path:
        """Take a sealed file that can never be archived out of the way, into the quarantine, and
        return where it lies now."""
        with disk_errors(sealed.path):
            kept = keep_aside(self.root, sealed.path.name, sealed.path.read_bytes(), reason)
            crash_points.unlink(sealed.path)
            self._prune(sealed.path.parent)
        return kept

    # ------------------------------------------------------------------------------------------------------------------

    def _sealed(self, hour: Hour, shard: str, prefix: str) -> list[SealedFile]:
        names = [
            name
            for name in self._names(hour, shard)
            if name.startswith(prefix) and name.endswith(file_names.SEALED)
        ]
        found = [file_names.sealed_file(self._path(hour, shard) / name) for name in names]
        return sorted(
            (one for one in found if one is not None), key=lambda one: (one.cloud_id, one.sequence)
        )

    def _unarchived(self, hour: Hour, shard: str) -> int:
        try:
            return len(_without_receipt(self._names(hour, shard)))
        except OSError:
            return 1

    def _users_waiting(self, hour: Hour, shard: str) -> int:
        try:
            return len(_waiting(self._names(hour, shard)))
        except OSError:
            return 1

    def _path(self, hour: Hour, shard: str) -> Path:
        return self.root / hour.name / shard

    def _names(self, hour: Hour, shard: str) -> list[str]:
        return _listed(self._path(hour, shard))

    def _next_sequence(self, path: Path) -> int:
        """The first that neither a sealed file nor a receipt has: a receipt whose file is gone must
        not come to prove another file. Found by asking for names one by one; listing a folder of
        thousands for each of its files would add up."""
        sequence = 1
        while any(name.exists() for name in file_names.numbered_paths(path, sequence)):
            sequence += 1
        return sequence

    def _tidy(self, hour: Hour, shard: str) -> None:
        """Remove unfinished files, receipts and notes whose file is gone, and empty folders. Only
        the process that holds the shard's lock may call it."""
        names = set(self._names(hour, shard))
        waiting = _waiting(names)
        for name in names:
            orphan = (
                name.endswith(file_names.RECEIPT)
                and name.removesuffix(file_names.RECEIPT) + file_names.SEALED not in names
            )
            orphan |= (
                name.endswith(file_names.STUCK) and file_names.user_and_hour_of(name) not in waiting
            )
            if orphan or name.endswith(UNFINISHED):
                with suppress(FileNotFoundError):
                    crash_points.unlink(self._path(hour, shard) / name)
        self._prune(self._path(hour, shard))

    def _sweep(self) -> None:
        """What somebody killed left behind elsewhere: locks of folders that are gone, and the
        oldest folders if empty."""
        for name in _listed(self.root / LOCKS):
            hour, _, shard = name.partition(".")
            if not (self.root / hour / shard).exists():
                with lock_or_not(self.root / LOCKS / name):
                    pass  # leaving removes it
        for oldest in self.hours()[:1]:
            for shard in [*self.shards(oldest), ""]:
                self._prune(self.root / oldest.name / shard)

    def _prune(self, folder: Path) -> None:
        """Remove this folder and the hour's if they are empty. A writer that wants them back makes
        them again."""
        for path in (folder, *parents_up_to(folder, self.root)[:-1]):
            try:
                crash_points.rmdir(path)
            except FileNotFoundError:
                continue
            except OSError:
                return


def _listed(path: Path) -> list[str]:
    try:
        return [entry.name for entry in path.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _folders(path: Path) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return [entry.name for entry in entries if entry.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _without_receipt(names: Iterable[str]) -> list[str]:
    """Log files, open or sealed, that are not archived."""
    all_names = set(names)
    return [
        name
        for name in all_names
        if name.endswith(file_names.OPEN) and _receipt_name(name) not in all_names
    ]


def _written(path: Path) -> float:
    """When it was last changed; 0 if it is gone."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _waiting(names: Iterable[str]) -> set[str]:
    """The users and hours (as `file_names.user_and_hour_of` names them) that have something to
    archive."""
    return {file_names.user_and_hour_of(name) for name in _without_receipt(names)}


def _receipt_name(name: str) -> str:
    return name.removesuffix(file_names.SEALED) + file_names.RECEIPT
