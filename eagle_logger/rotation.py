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
from eagle_logger.core.rotation_plan import (
    is_complete,
    is_current,
    may_be_deleted,
    may_be_tried,
    nothing_to_delete_yet,
    oldest_first,
)
from eagle_logger.core.sealing import LARGEST_HOUR, Content
from eagle_logger.errors import (
    ArchiveDamages,
    ArchiveUnavailable,
    DiskUnavailable,
    EagleError,
    NoConditionalWrites,
    NotAccepted,
)
from eagle_logger.logs.folder import LogFile, LogFolder, Receipt, SealedFile, Stuck, concerns_whole_volume
from eagle_logger.parts import Archived, Parts
from eagle_logger.reach import Reach
from eagle_logger.rotated import Rotated

__all__ = ["UPLOADS", "Rotated", "plan", "rotate_shard"]

_log = structlog.get_logger(__name__)

UPLOADS = 8
"""Users of one shard that are worked on at once: an upload is mostly waiting."""


@dataclass(slots=True)
class _User:
    """One user's files of the hour on this disk."""

    cloud_id: str
    hour: Hour
    shard: str
    opened: list[LogFile] = field(default_factory=list)
    sealed: list[SealedFile] = field(default_factory=list)
    stuck: Stuck | None = None

    @property
    def waits(self) -> bool:
        """Whether something is not archived, complete or not."""
        return bool(self.opened) or any(file.receipt is None for file in self.sealed)


@dataclass(frozen=True, slots=True)
class _Task:
    """What is to be done, and when "now" is."""

    folder: LogFolder
    now: float
    grace: float
    retention: float
    include_open: bool
    heed_pauses: bool

    def users(self, hour: Hour, shard: str) -> list[_User]:
        """In order of cloud id; those whose hour failed before come last."""
        users: dict[str, _User] = {}
        for opened in self.folder.open_files(hour, shard):
            users.setdefault(opened.cloud_id, _User(opened.cloud_id, hour, shard)).opened.append(opened)
        for sealed in self.folder.sealed_files(hour, shard):
            users.setdefault(sealed.cloud_id, _User(sealed.cloud_id, hour, shard)).sealed.append(sealed)
        for cloud_id, stuck in self.folder.stuck_in(hour, shard).items():
            if cloud_id in users:
                users[cloud_id].stuck = stuck
        return sorted(users.values(), key=lambda user: (user.stuck is not None, user.cloud_id))

    def is_resting(self, user: _User) -> bool:
        """Whether this user's hour failed, and it is too early for another try."""
        stuck = user.stuck
        return stuck is not None and self.heed_pauses and not may_be_tried(stuck.tried_at, stuck.tries, self.now)

    def has_to_archive(self, user: _User) -> bool:
        if self.is_resting(user):
            return False
        return any(file.receipt is None for file in user.sealed) or any(map(self.is_to_be_sealed, user.opened))

    def is_to_be_sealed(self, file: LogFile) -> bool:
        if self.include_open:
            return True
        if is_current(file.hour, self.grace, self.now):
            return False
        try:
            first_arrival = self.folder.first_arrival(file)
        except OSError:
            return True  # whoever seals it will say what is wrong with it
        return first_arrival is not None and is_complete(file.hour, first_arrival, self.grace, self.now)

    def expired(self, user: _User) -> list[SealedFile]:
        """Those kept long enough; none while something of the hour waits: they tell what its parts hold, also when the archive
        cannot be read."""
        return [] if user.waits else [file for file in user.sealed if self._is_expired(file)]

    def _is_expired(self, file: SealedFile) -> bool:
        receipt = file.receipt
        return receipt is not None and may_be_deleted(file.hour, receipt.archived_at, self.retention, self.now)


def plan(
    folder: LogFolder,
    now: float,
    *,
    grace: float,
    retention: float,
    include_open: bool = False,
    heed_pauses: bool = True,
) -> list[tuple[Hour, str]]:
    """The hours and shards of this log volume that have something to rotate or to delete, oldest hour first; and behind all
    others those where nothing is left but what failed before.

    `now` and the results are in the system's clock; `grace` and `retention` are seconds. With `heed_pauses` what failed before
    is left out until it is worth another try.
    """
    task = _Task(folder, now, grace, retention, include_open, heed_pauses)
    work = {(hour, shard): kind for hour in folder.hours() for shard, kind in _shards_with_work(task, hour)}
    return [*oldest_first(one for one in work if work[one]), *oldest_first(one for one in work if not work[one])]


def _shards_with_work(task: _Task, hour: Hour) -> Iterator[tuple[str, bool]]:
    """Each with whether anything in it has not failed before."""
    if nothing_to_delete_yet(hour, task.retention, task.now) and not task.folder.unarchived(hour):
        return
    for shard in _shards(task.folder, hour):
        try:
            users = task.users(hour, shard)
        except OSError:
            yield shard, False  # whoever rotates it will say what is wrong with it
            continue
        if any(user.stuck is None and (task.has_to_archive(user) or task.expired(user)) for user in users):
            yield shard, True
        elif any(user.stuck is not None and task.has_to_archive(user) for user in users):
            yield shard, False


def _shards(folder: LogFolder, hour: Hour) -> list[str]:
    try:
        return folder.shards(hour)
    except OSError as exc:
        _log.error("hour_not_listed", hour=hour.name, reason=str(exc), detail="repair or remove this folder by hand")
        return []


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
    heed_pauses: bool = True,
    stopping: Callable[[], bool] = lambda: False,
    reach: Reach | None = None,
    archiving: bool = True,
) -> Rotated:
    """Carry one shard of an hour as far as it goes. Blocking; safe to repeat, and beside other rotators on any disk.

    One user's failure stops nobody else, nor does a folder that cannot be read. `stopping` is asked before each user; those
    left over are `deferred`. So are all once the archive is away, or without `archiving`; what was kept long enough is deleted
    all the same, but for an archive that replaces objects. `reach` is what this process knows of the archive.
    """
    task = _Task(folder, now, grace, retention, include_open, heed_pauses)
    known = Reach(lambda: archive) if reach is None else reach
    done = Rotated()
    try:
        with folder.rotating(hour, shard) as mine:
            if not mine:
                return Rotated(busy=1)
            users, doubt = task.users(hour, shard), _doubt(archive, known, now)
            if doubt is not None:
                _log.error("archive_unavailable", hour=hour.name, shard=shard, reason=str(doubt))
                done += Rotated(errors={f"{hour} {shard}": str(doubt)})
            if isinstance(doubt, NoConditionalWrites):
                return done + Rotated(deferred=sum(map(task.has_to_archive, users)))
            done += _Shard(task, archive, known, users, stopping, archiving=archiving).run()
    except (DiskUnavailable, OSError) as exc:
        _log.error("shard_failed", hour=hour.name, shard=shard, reason=str(exc))
        done += Rotated(errors={f"{hour} {shard}": str(exc)})
    return done


def _doubt(archive: Archive, reach: Reach, now: float) -> ArchiveUnavailable | None:
    """Why nothing may be put into this archive yet. If it replaces objects, nothing may be deleted here either."""
    if reach.is_away():
        return None
    try:
        archive.prove()
    except ArchiveUnavailable as exc:
        if not isinstance(exc, NoConditionalWrites):
            reach.is_there(now)  # if it is not, everybody is left to the next time
        return exc
    return None


class _Shard:
    """A few threads, each taking the next user until there is none or it is time to stop."""

    def __init__(
        self,
        task: _Task,
        archive: Archive,
        reach: Reach,
        users: list[_User],
        stopping: Callable[[], bool],
        *,
        archiving: bool,
    ) -> None:
        self._task = task
        self._archive = archive
        self._reach = reach
        self._users = users
        self._next = 0
        self._stopping = stopping
        self._is_left = not archiving
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
        return sum(map(self._leave, self._users[self._next :]), done)

    def _work(self) -> Rotated:
        done = Rotated()
        while (user := self._take()) is not None:
            done += self._one(user)
        return done

    def _take(self) -> _User | None:
        with self._lock:
            self._is_left |= self._reach.is_away()
            if self._next == len(self._users) or self._is_left or self._stopping():
                return None
            self._next += 1
            return self._users[self._next - 1]

    def _leave(self, user: _User) -> Rotated:
        """Leave a user to the next time; what is on this disk only to be deleted needs no archive."""
        if self._stopping():
            return Rotated(deferred=1)
        return self._delete_expired(user) + Rotated(deferred=int(self._task.has_to_archive(user)))

    def _one(self, user: _User) -> Rotated:
        done = Rotated() if self._task.is_resting(user) else self._archive_user(user)
        return done + self._delete_expired(user)

    def _archive_user(self, user: _User) -> Rotated:
        done, is_second_try = Rotated(), False
        while True:
            try:
                for step in _archive_files(self._task, self._archive, user):
                    done += step
                    if step.objects:
                        self._reach.stored()
                if user.stuck is not None:
                    self._task.folder.forget_stuck(user.shard, user.stuck)
            except ArchiveUnavailable as exc:
                if is_second_try or isinstance(exc, ArchiveDamages):
                    self._reach.failed_alone(user.cloud_id)
                    return done + self._put_off(user, str(exc))
                if self._stopping() or not self._reach.is_there(self._task.now):
                    _log.warning("archive_unavailable", cloud_id=user.cloud_id, hour=user.hour.name, reason=str(exc))
                    return done + Rotated(deferred=1, errors={user.cloud_id: str(exc)})
                done, is_second_try = replace(done, cloud_ids=()), True  # it may have come back just now
            except (EagleError, OSError) as exc:
                if concerns_whole_volume(exc):
                    _log.error("rotation_failed", cloud_id=user.cloud_id, hour=user.hour.name, reason=str(exc))
                    return done + Rotated(errors={user.cloud_id: str(exc)})
                return done + self._put_off(user, str(exc))
            except Exception as exc:  # noqa: BLE001  (one user cannot harm another, whatever it is)
                _log.exception("rotation_failed", cloud_id=user.cloud_id, hour=user.hour.name)
                return done + self._put_off(user, repr(exc))
            else:
                return done

    def _put_off(self, user: _User, reason: str) -> Rotated:
        """Note that this user's hour fails for a reason of its own."""
        now, before = self._task.now, user.stuck
        stuck = Stuck.first(user.cloud_id, user.hour, reason, now) if before is None else before.again(reason, now)
        _log.error("hour_is_stuck", cloud_id=user.cloud_id, hour=user.hour.name, tries=stuck.tries, reason=reason)
        try:
            self._task.folder.note_stuck(user.shard, stuck)
        except DiskUnavailable as exc:
            _log.warning("stuck_hour_not_noted", cloud_id=user.cloud_id, hour=user.hour.name, reason=str(exc))
        return Rotated(stuck=1, errors={user.cloud_id: reason})

    def _delete_expired(self, user: _User) -> Rotated:
        removed = 0
        try:
            for file in self._task.expired(user):
                self._task.folder.remove(file)
                removed += 1
        except (EagleError, OSError) as exc:
            _log.error("deletion_failed", cloud_id=user.cloud_id, hour=user.hour.name, reason=str(exc))
            return Rotated(removed=removed, errors={user.cloud_id: str(exc)})
        return Rotated(removed=removed)


def _archive_files(task: _Task, archive: Archive, user: _User) -> Iterator[Rotated]:
    """What is done stays noted in `user`, so that a second try goes on where the first one ended."""
    for opened in [file for file in user.opened if task.is_to_be_sealed(file)]:
        sealed = task.folder.seal(opened)
        user.opened.remove(opened)
        user.sealed += [sealed] if sealed is not None else []
    user.sealed[:] = [piece for file in user.sealed for piece in _in_pieces(task.folder, file)]
    waiting = [file for file in user.sealed if file.receipt is None]
    if waiting:
        yield Rotated(cloud_ids=(user.cloud_id,))
        parts = Parts(archive, user.cloud_id, user.hour)
        parts.recall(file for file in user.sealed if file.receipt is not None)
        for file in waiting:
            rotated, archived = _archive(task, parts, file)
            user.sealed.remove(file)
            user.sealed += [archived] if archived is not None else []
            yield rotated


def _in_pieces(folder: LogFolder, file: SealedFile) -> list[SealedFile]:
    """The file; or, where it is larger than any that is written today, several in its place, each archived as a part: what
    archiving takes in memory depends on the largest."""
    if file.receipt is not None or file.path.stat().st_size <= LARGEST_HOUR:
        return [file]
    pieces = folder.split(file, LARGEST_HOUR)
    _log.warning("large_file_split", file=file.path.name, pieces=[piece.path.name for piece in pieces])
    return pieces


def _archive(task: _Task, parts: Parts, file: SealedFile) -> tuple[Rotated, SealedFile | None]:
    """What came of it, and the file as it is now: None if it was set aside."""
    content = Content(file.path.read_bytes(), file.cloud_id)
    if content.unreadable:
        _keep_aside(task.folder, file, content.unreadable)
    try:
        archived = parts.add(content)
    except NotAccepted as never:
        task.folder.set_aside(file, str(never))
        lines = len(content.entries) + len(content.unreadable)
        return Rotated(quarantined=lines, errors={file.cloud_id: str(never)}), None
    proven = task.folder.write_receipt(file, _receipt(file, archived, task.now))
    rotated = Rotated(
        objects=archived.number is not None,
        rows=archived.part.rows,
        bytes=archived.size,
        duplicates=archived.part.duplicates + archived.part.archived,
        conflicts=archived.part.conflicts,
        quarantined=len(content.unreadable),
    )
    return rotated, proven


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
