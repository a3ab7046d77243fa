"""Rotation: seal what is complete ▶ order, drop duplicates ▶ gzip ▶ put ▶ verify ▶ receipt ▶ in time, delete.

Every step may be repeated after a crash between any two. A file without a receipt is worked on again from its beginning; the
archive never replaces an object and our bytes repeat, so what was stored already is recognised as our own.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from eagle_logger.archive.archive import Archive
from eagle_logger.core.hours import Hour
from eagle_logger.core.rotation_plan import is_complete, is_current, may_be_deleted, nothing_to_delete_yet, oldest_first
from eagle_logger.core.sealing import LARGEST_HOUR, Content
from eagle_logger.errors import ArchiveUnavailable, EagleError, NotAccepted
from eagle_logger.logs.folder import LogFile, LogFolder, Receipt, SealedFile
from eagle_logger.parts import Archived, Parts

_log = structlog.get_logger(__name__)

UPLOADS = 8
"""Users of one shard that are worked on at once: an upload is mostly waiting."""
PATIENCE = 3
"""Users in a row for whom the archive may fail before the shard is left for next time."""


@dataclass(frozen=True, slots=True)
class Rotated:
    """What came of a rotation. `deferred` users were left for next time: it was time to stop, or the archive was away."""

    cloud_ids: tuple[str, ...] = ()
    """Who had something to archive."""
    objects: int = 0
    rows: int = 0
    bytes: int = 0
    duplicates: int = 0
    """Lines left out because another line, here or in an earlier part, says the same."""
    conflicts: int = 0
    quarantined: int = 0
    """Lines that cannot be read, kept aside."""
    removed: int = 0
    """Log files deleted because their retention is over."""
    deferred: int = 0
    busy: int = 0
    """Shards that another rotator has in hand."""
    errors: dict[str, str] = field(default_factory=dict)
    """What went wrong, by cloud id."""

    @property
    def users(self) -> int:
        return len(self.cloud_ids)

    def counts(self) -> dict[str, int]:
        """What there is any of, by name."""
        names = [name for name in Rotated.__slots__ if name not in {"cloud_ids", "errors"}]
        found = {"users": self.users, **{name: getattr(self, name) for name in names}, "errors": len(self.errors)}
        return {name: count for name, count in found.items() if count}

    def __add__(self, other: Rotated) -> Rotated:
        names = [name for name in Rotated.__slots__ if name != "errors"]
        sums = {name: getattr(self, name) + getattr(other, name) for name in names}
        return Rotated(**sums, errors=self.errors | other.errors)

    def __str__(self) -> str:
        """In words: `12 users, 12 objects, 6000 rows, 3 duplicates dropped`."""
        if self.busy and not self.users:
            return "another rotator is at it"
        said = [_counted(self.users, "user"), _counted(self.objects, "object"), _counted(self.rows, "row")]
        rare = (
            _counted(self.duplicates, "duplicate", "dropped"),
            _counted(self.conflicts, "conflict"),
            _counted(self.quarantined, "line", "kept aside"),
            _counted(self.removed, "file", "deleted"),
            _counted(self.deferred, "user", "deferred"),
            _counted(len(self.errors), "user", "with errors"),
        )
        return ", ".join(said + [one for one in rare if not one.startswith("0 ")])


def _counted(number: int, thing: str, more: str = "") -> str:
    return f"{number} {thing}{'' if number == 1 else 's'} {more}".rstrip()


@dataclass(frozen=True, slots=True)
class _Task:
    """What is to be done, and when "now" is."""

    folder: LogFolder
    now: float
    grace: float
    retention: float
    include_open: bool

    def is_to_be_sealed(self, file: LogFile) -> bool:
        if self.include_open:
            return True
        if is_current(file.hour, self.grace, self.now):
            return False
        first_arrival = self.folder.first_arrival(file)
        return first_arrival is not None and is_complete(file.hour, first_arrival, self.grace, self.now)

    def is_expired(self, file: SealedFile) -> bool:
        return file.receipt is not None and may_be_deleted(file.receipt.archived_at, self.retention, self.now)


def plan(
    folder: LogFolder, now: float, *, grace: float, retention: float, include_open: bool = False
) -> list[tuple[Hour, str]]:
    """The hours and shards of this log volume that have something to rotate or to delete, oldest hour first.

    `now` and the results are in the system's clock; `grace` and `retention` are seconds.
    """
    task = _Task(folder, now, grace, retention, include_open)
    return oldest_first((hour, shard) for hour in folder.hours() for shard in _shards_with_work(task, hour))


def _shards_with_work(task: _Task, hour: Hour) -> list[str]:
    if nothing_to_delete_yet(hour, task.retention, task.now) and not task.folder.unarchived(hour):
        return []
    return [shard for shard in task.folder.shards(hour) if _has_work(task, hour, shard)]


def _has_work(task: _Task, hour: Hour, shard: str) -> bool:
    if any(file.receipt is None or task.is_expired(file) for file in task.folder.sealed_files(hour, shard)):
        return True
    return any(task.is_to_be_sealed(file) for file in task.folder.open_files(hour, shard))


def rotate_shard(
    folder: LogFolder,
    archive: Archive,
    hour: Hour,
    shard: str,
    now: float,
    *,
    grace: float,
    retention: float,
    include_open: bool = False,
    stopping: Callable[[], bool] = lambda: False,
) -> Rotated:
    """Carry one shard of an hour as far as it goes. Blocking; safe to repeat, and beside other rotators on any disk.

    One user's failure stops nobody else. `stopping` is asked before each user; those left over are `deferred`.
    """
    with folder.rotating(hour, shard) as mine:
        if not mine:
            return Rotated(busy=1)
        task = _Task(folder, now, grace, retention, include_open)
        return _Shard(task, archive, _users(folder, hour, shard), stopping).run()


@dataclass(slots=True)
class _User:
    """One user's files of the hour on this disk."""

    cloud_id: str
    hour: Hour
    opened: list[LogFile] = field(default_factory=list)
    sealed: list[SealedFile] = field(default_factory=list)


def _users(folder: LogFolder, hour: Hour, shard: str) -> list[_User]:
    users: dict[str, _User] = {}
    for opened in folder.open_files(hour, shard):
        users.setdefault(opened.cloud_id, _User(opened.cloud_id, hour)).opened.append(opened)
    for sealed in folder.sealed_files(hour, shard):
        users.setdefault(sealed.cloud_id, _User(sealed.cloud_id, hour)).sealed.append(sealed)
    return [users[cloud_id] for cloud_id in sorted(users)]


class _Shard:
    """A few threads, each taking the next user until there is none or it is time to stop."""

    def __init__(self, task: _Task, archive: Archive, users: list[_User], stopping: Callable[[], bool]) -> None:
        self._task = task
        self._archive = archive
        self._users = users
        self._next = 0
        self._stopping = stopping
        self._unavailable = 0
        self._lock = threading.Lock()

    def run(self) -> Rotated:
        threads = min(UPLOADS, len(self._users))
        if threads <= 1:
            done = self._work()
        else:
            with ThreadPoolExecutor(threads, thread_name_prefix="rotate") as pool:
                # What they log names the message it was done for, as it would here.
                contexts = [contextvars.copy_context() for _ in range(threads)]
                done = sum(pool.map(lambda context: context.run(self._work), contexts), Rotated())
        return replace(done, deferred=done.deferred + len(self._users) - self._next)

    def _work(self) -> Rotated:
        done = Rotated()
        while (user := self._take()) is not None:
            done += self._one(user)
        return done

    def _take(self) -> _User | None:
        with self._lock:
            if self._next == len(self._users) or self._unavailable >= PATIENCE or self._stopping():
                return None
            self._next += 1
            return self._users[self._next - 1]

    def _note(self, *, available: bool) -> None:
        with self._lock:
            self._unavailable = 0 if available else self._unavailable + 1

    def _one(self, user: _User) -> Rotated:
        done = Rotated()
        try:
            for step in _rotate_user(self._task, self._archive, user):
                done += step
            self._note(available=True)
        except ArchiveUnavailable as away:
            self._note(available=False)
            _log.warning("archive_unavailable", cloud_id=user.cloud_id, hour=user.hour.name, reason=str(away))
            done += Rotated(deferred=1, errors={user.cloud_id: str(away)})
        except (EagleError, OSError) as wrong:
            _log.error("rotation_failed", cloud_id=user.cloud_id, hour=user.hour.name, reason=str(wrong))
            done += Rotated(errors={user.cloud_id: str(wrong)})
        except Exception as wrong:  # noqa: BLE001  (one user cannot harm another, whatever it is)
            _log.exception("rotation_failed", cloud_id=user.cloud_id, hour=user.hour.name)
            done += Rotated(errors={user.cloud_id: repr(wrong)})
        return done


def _rotate_user(task: _Task, archive: Archive, user: _User) -> Iterator[Rotated]:
    closed = [task.folder.seal(file) for file in user.opened if task.is_to_be_sealed(file)]
    sealed = user.sealed + [file for file in closed if file is not None]
    files = [piece for file in sealed for piece in _in_pieces(task.folder, file)]
    waiting = [file for file in files if file.receipt is None]
    if waiting:
        yield Rotated(cloud_ids=(user.cloud_id,))
        parts = Parts(archive, user.cloud_id, user.hour)
        parts.recall(file for file in files if file.receipt is not None)
        for file in waiting:
            yield _archive(task, parts, file)
    for file in files:
        if task.is_expired(file):
            task.folder.remove(file)
            yield Rotated(removed=1)


def _in_pieces(folder: LogFolder, file: SealedFile) -> list[SealedFile]:
    """The file; or, where it is larger than any that is written today, several in its place, each archived as a part: what
    archiving takes in memory depends on the largest."""
    if file.receipt is not None or file.path.stat().st_size <= LARGEST_HOUR:
        return [file]
    pieces = folder.split(file, LARGEST_HOUR)
    _log.warning("large_file_split", file=file.path.name, pieces=[piece.path.name for piece in pieces])
    return pieces


def _archive(task: _Task, parts: Parts, file: SealedFile) -> Rotated:
    content = Content(file.path.read_bytes(), file.cloud_id)
    if content.unreadable:
        _keep_aside(task.folder, file, content.unreadable)
    try:
        archived = parts.add(content)
    except NotAccepted as never:
        task.folder.set_aside(file, str(never))
        return Rotated(quarantined=len(content.entries) + len(content.unreadable), errors={file.cloud_id: str(never)})
    task.folder.write_receipt(file, _receipt(file, archived, task.now))
    return Rotated(
        objects=archived.number is not None,
        rows=archived.part.rows,
        bytes=archived.size,
        duplicates=archived.part.duplicates + archived.part.archived,
        conflicts=archived.part.conflicts,
        quarantined=len(content.unreadable),
    )


def _keep_aside(folder: LogFolder, file: SealedFile, unreadable: list[tuple[bytes, str]]) -> None:
    _log.warning("unreadable_lines", file=file.path.name, lines=len(unreadable))
    reasons = [f"{len(text)} bytes: {reason}" for text, reason in unreadable[:20]]
    folder.quarantine(file.path.name, b"".join(text + b"\n" for text, _ in unreadable), "\n".join(reasons))


def _receipt(file: SealedFile, archived: Archived, now: float) -> Receipt:
    part = archived.part
    return Receipt(
        cloud_id=file.cloud_id,
        hour=file.hour,
        part=archived.number,
        key=archived.key,
        rows=part.rows,
        first=_unix(part.first),
        last=_unix(part.last),
        sha256_lines=part.digest,
        sha256_object=archived.sha256,
        size=archived.size,
        archived_at=now,
    )


def _unix(time: str) -> int | None:
    return int(datetime.fromisoformat(time).timestamp()) if time else None
