"""Rotation: seal what is complete ▶ order, drop duplicates ▶ gzip ▶ put ▶ verify ▶ receipt ▶ in
time, delete.

Every step may be repeated after a crash between any two. A file without a receipt is worked on
again from its beginning; the archive never replaces an object and our bytes repeat, so what was
stored already is recognised as our own.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
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
from eagle_logger.core.sealing import LARGEST_HOUR, PartContent
from eagle_logger.errors import (
    ArchiveDamages,
    ArchiveUnavailable,
    DiskUnavailable,
    EagleError,
    NoConditionalWrites,
    NotAccepted,
)
from eagle_logger.logs.folder import (
    LogFile,
    LogFolder,
    Receipt,
    SealedFile,
    StuckUserHour,
    concerns_whole_volume,
)
from eagle_logger.rotation.archive_parts import Archived, HourParts
from eagle_logger.rotation.archive_reach import ArchiveReach
from eagle_logger.rotation.rotation_result import RotationResult

_log = structlog.get_logger("eagle_logger.rotation")

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
    stuck: StuckUserHour | None = None

    @property
    def waits(self) -> bool:
        """Whether a file is not archived yet, be its hour complete or not."""
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
        """The shard's users in order of cloud id; those whose hour failed before come last."""
        users: dict[str, _User] = {}
        for opened in self.folder.open_files(hour, shard):
            users.setdefault(opened.cloud_id, _User(opened.cloud_id, hour, shard)).opened.append(
                opened
            )
        for sealed in self.folder.sealed_files(hour, shard):
            users.setdefault(sealed.cloud_id, _User(sealed.cloud_id, hour, shard)).sealed.append(
                sealed
            )
        for cloud_id, stuck in self.folder.stuck_in(hour, shard).items():
            if cloud_id in users:
                users[cloud_id].stuck = stuck
        return sorted(users.values(), key=lambda user: (user.stuck is not None, user.cloud_id))

    def is_resting(self, user: _User) -> bool:
        """Whether this user's hour failed and its pause is not over."""
        stuck = user.stuck
        return (
            stuck is not None
            and self.heed_pauses
            and not may_be_tried(stuck.tried_at, stuck.tries, self.now)
        )

    def has_to_archive(self, user: _User) -> bool:
        if self.is_resting(user):
            return False
        return any(file.receipt is None for file in user.sealed) or any(
            map(self.is_to_be_sealed, user.opened)
        )

    def has_work(self, user: _User) -> bool:
        return self.has_to_archive(user) or bool(self.expired(user))

    def is_to_be_sealed(self, file: LogFile) -> bool:
        if self.include_open:
            return True
        if is_current(file.hour, self.grace, self.now):
            return False
        try:
            first_arrival = self.folder.first_arrival(file)
        except OSError:
            return True  # sealing reports why it cannot be read
        return first_arrival is not None and is_complete(
            file.hour, first_arrival, self.grace, self.now
        )

    def expired(self, user: _User) -> list[SealedFile]:
        """The files that were kept long enough. None while a file of the hour waits: until then
        they show what the hour's parts hold, even if the archive cannot be read."""
        return [] if user.waits else [file for file in user.sealed if self._is_expired(file)]

    def _is_expired(self, file: SealedFile) -> bool:
        receipt = file.receipt
        return receipt is not None and may_be_deleted(
            file.hour, receipt.archived_at, self.retention, self.now
        )


def hours_to_rotate(
    folder: LogFolder,
    now: float,
    *,
    grace: float,
    retention: float,
    include_open: bool = False,
    heed_pauses: bool = True,
) -> list[tuple[Hour, str]]:
    """The hours and shards of this log volume that have something to rotate or to delete, oldest
    hour first. Those in which all users with work have failed, in this hour or in another one, come
    last: what keeps one hour may keep all.

    `now` and the results are in the system's clock; `grace` and `retention` are seconds. With
    `heed_pauses`, a failed hour is left out until its pause is over.
    """
    task = _Task(folder, now, grace, retention, include_open, heed_pauses)
    hours = folder.hours()
    stuck = {note.cloud_id for hour in hours for note in folder.stuck(hour)}
    work = {
        (hour, shard): kind
        for hour in hours
        for shard, kind in _shards_with_work(task, hour, stuck)
    }
    return [
        *oldest_first(one for one in work if work[one]),
        *oldest_first(one for one in work if not work[one]),
    ]


def _shards_with_work(
    task: _Task, hour: Hour, stuck: AbstractSet[str]
) -> Iterator[tuple[str, bool]]:
    """The shards to rotate. Each comes with whether a user who is stuck in no hour has work there."""
    if nothing_to_delete_yet(hour, task.retention, task.now) and not task.folder.unarchived(hour):
        return
    for shard in _shards(task.folder, hour):
        try:
            users = task.users(hour, shard)
        except OSError:
            yield shard, False  # its rotation reports why it cannot be read
            continue
        if any(user.cloud_id not in stuck and task.has_work(user) for user in users):
            yield shard, True
        elif any(user.cloud_id in stuck and task.has_work(user) for user in users):
            yield shard, False


def _shards(folder: LogFolder, hour: Hour) -> list[str]:
    try:
        return folder.shards(hour)
    except OSError as exc:
        _log.error(
            "hour_not_listed",
            hour=hour.name,
            reason=str(exc),
            detail="repair or remove this folder by hand",
        )
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
    reach: ArchiveReach | None = None,
    archiving: bool = True,
) -> RotationResult:
    """Carry one shard of an hour as far as it goes. Blocking; safe to repeat, and beside other
    rotators on any disk.

    Neither a user's failure nor a folder that cannot be read stops the others. `stopping` is called
    before each user; when it returns True, the others are `deferred`. They are deferred too when
    the archive is away, and without `archiving`; files whose retention is over are then still
    deleted, unless the archive replaces objects. `reach` is what this process knows of the archive.
    """
    task = _Task(folder, now, grace, retention, include_open, heed_pauses)
    known = ArchiveReach(lambda: archive) if reach is None else reach
    done = RotationResult()
    try:
        with folder.rotating(hour, shard) as mine:
            if not mine:
                return RotationResult(busy=1)
            users, distrust = task.users(hour, shard), _reason_to_distrust(archive, known, now)
            if distrust is not None:
                _log.error("archive_unavailable", hour=hour.name, shard=shard, reason=str(distrust))
                done += RotationResult(errors={f"{hour} {shard}": str(distrust)})
            if isinstance(distrust, NoConditionalWrites):
                return done + RotationResult(deferred=sum(map(task.has_to_archive, users)))
            done += _Shard(task, archive, known, users, stopping, archiving=archiving).run()
    except (DiskUnavailable, OSError) as exc:
        _log.error("shard_failed", hour=hour.name, shard=shard, reason=str(exc))
        done += RotationResult(errors={f"{hour} {shard}": str(exc)})
    return done


def _reason_to_distrust(
    archive: Archive, reach: ArchiveReach, now: float
) -> ArchiveUnavailable | None:
    """The error that keeps this process from using the archive, if any. If it is
    NoConditionalWrites, no local file may be deleted either."""
    if reach.is_away():
        return None
    try:
        archive.prove()
    except ArchiveUnavailable as exc:
        if not isinstance(exc, NoConditionalWrites):
            reach.is_there(now)  # notes that the archive is away; then every user is deferred
        return exc
    return None


class _Shard:
    """A few threads, each taking the next user until there is none or it is time to stop."""

    def __init__(
        self,
        task: _Task,
        archive: Archive,
        reach: ArchiveReach,
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

    def run(self) -> RotationResult:
        threads = min(UPLOADS, len(self._users))
        if threads <= 1:
            done = self._work()
        else:
            with ThreadPoolExecutor(threads, thread_name_prefix="rotate") as pool:
                # What they log names the message it was done for, as it would here.
                contexts = [contextvars.copy_context() for _ in range(threads)]
                done = sum(
                    pool.map(lambda context: context.run(self._work), contexts), RotationResult()
                )
        return sum(map(self._defer, self._users[self._next :]), done)

    def _work(self) -> RotationResult:
        done = RotationResult()
        while (user := self._next_user()) is not None:
            done += self._rotate_user(user)
        return done

    def _next_user(self) -> _User | None:
        with self._lock:
            self._is_left |= self._reach.is_away()
            if self._next == len(self._users) or self._is_left or self._stopping():
                return None
            self._next += 1
            return self._users[self._next - 1]

    def _defer(self, user: _User) -> RotationResult:
        """Defer a user. Deleting files whose retention is over needs no archive, so that is done
        now."""
        if self._stopping():
            return RotationResult(deferred=1)
        return self._delete_expired(user) + RotationResult(
            deferred=int(self._task.has_to_archive(user))
        )

    def _rotate_user(self, user: _User) -> RotationResult:
        done = RotationResult() if self._task.is_resting(user) else self._archive_user(user)
        return done + self._delete_expired(user)

    def _archive_user(self, user: _User) -> RotationResult:
        done, is_second_try = RotationResult(), False
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
                    return done + self._note_stuck(user, str(exc))
                if self._stopping() or not self._reach.is_there(self._task.now):
                    _log.warning(
                        "archive_unavailable",
                        cloud_id=user.cloud_id,
                        hour=user.hour.name,
                        reason=str(exc),
                    )
                    return done + RotationResult(deferred=1, errors={user.cloud_id: str(exc)})
                done, is_second_try = (
                    replace(done, cloud_ids=()),
                    True,
                )  # the archive may have come back just now
            except (EagleError, OSError) as exc:
                if concerns_whole_volume(exc):
                    _log.error(
                        "rotation_failed",
                        cloud_id=user.cloud_id,
                        hour=user.hour.name,
                        reason=str(exc),
                    )
                    return done + RotationResult(errors={user.cloud_id: str(exc)})
                return done + self._note_stuck(user, str(exc))
            except Exception as exc:  # noqa: BLE001  (one user cannot harm another, whatever it is)
                _log.exception("rotation_failed", cloud_id=user.cloud_id, hour=user.hour.name)
                return done + self._note_stuck(user, repr(exc))
            else:
                return done

    def _note_stuck(self, user: _User, reason: str) -> RotationResult:
        """Write a note that this user's hour fails for a reason of its own."""
        now, before = self._task.now, user.stuck
        stuck = (
            StuckUserHour.first(user.cloud_id, user.hour, reason, now)
            if before is None
            else before.again(reason, now)
        )
        _log.error(
            "hour_is_stuck",
            cloud_id=user.cloud_id,
            hour=user.hour.name,
            tries=stuck.tries,
            reason=reason,
        )
        try:
            self._task.folder.note_stuck(user.shard, stuck)
        except DiskUnavailable as exc:
            _log.warning(
                "stuck_hour_not_noted", cloud_id=user.cloud_id, hour=user.hour.name, reason=str(exc)
            )
        return RotationResult(stuck=1, errors={user.cloud_id: reason})

    def _delete_expired(self, user: _User) -> RotationResult:
        removed = 0
        try:
            for file in self._task.expired(user):
                self._task.folder.remove(file)
                removed += 1
        except (EagleError, OSError) as exc:
            _log.error(
                "deletion_failed", cloud_id=user.cloud_id, hour=user.hour.name, reason=str(exc)
            )
            return RotationResult(removed=removed, errors={user.cloud_id: str(exc)})
        return RotationResult(removed=removed)


def _archive_files(task: _Task, archive: Archive, user: _User) -> Iterator[RotationResult]:
    """Seal and archive a user's files, and yield what was done. `user` is kept up to date, so a
    second try continues there."""
    for opened in [file for file in user.opened if task.is_to_be_sealed(file)]:
        sealed = task.folder.seal(opened)
        user.opened.remove(opened)
        user.sealed += [sealed] if sealed is not None else []
    user.sealed[:] = [piece for file in user.sealed for piece in _in_pieces(task.folder, file)]
    waiting = [file for file in user.sealed if file.receipt is None]
    if waiting:
        yield RotationResult(cloud_ids=(user.cloud_id,))
        parts = HourParts(archive, user.cloud_id, user.hour)
        parts.recall(file for file in user.sealed if file.receipt is not None)
        for file in waiting:
            rotated, archived = _archive(task, parts, file)
            user.sealed.remove(file)
            user.sealed += [archived] if archived is not None else []
            yield rotated


def _in_pieces(folder: LogFolder, file: SealedFile) -> list[SealedFile]:
    """The file itself, or several in its place if it is larger than any that is written today. Each
    becomes a part: the memory that archiving needs depends on the largest file."""
    if file.receipt is not None or file.path.stat().st_size <= LARGEST_HOUR:
        return [file]
    pieces = folder.split(file, LARGEST_HOUR)
    _log.warning(
        "large_file_split", file=file.path.name, pieces=[piece.path.name for piece in pieces]
    )
    return pieces


def _archive(
    task: _Task, parts: HourParts, file: SealedFile
) -> tuple[RotationResult, SealedFile | None]:
    """The result, and the file with its receipt: None if it was set aside."""
    content = PartContent(file.path.read_bytes(), file.cloud_id)
    if content.unreadable:
        _keep_aside(task.folder, file, content.unreadable)
    try:
        archived = parts.add(content)
    except NotAccepted as exc:
        task.folder.set_aside(file, str(exc))
        lines = len(content.entries) + len(content.unreadable)
        return RotationResult(quarantined=lines, errors={file.cloud_id: str(exc)}), None
    proven = task.folder.write_receipt(file, _receipt(file, archived, task.now))
    rotated = RotationResult(
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
    folder.quarantine(
        file.path.name, b"".join(text + b"\n" for text, _ in unreadable), "\n".join(reasons)
    )


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
