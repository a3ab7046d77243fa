"""Rotation of one shard of an hour: archive each user's hour, and delete files whose retention is
over.

`archive_user_hour` says what one user's hour goes through. This module runs it for all users of a
shard in a few threads, and decides what a failure means: for the user, or for the whole archive.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import structlog

from eagle_logger.archive.archive import Archive
from eagle_logger.core.hours import Hour
from eagle_logger.errors import (
    ArchiveDamages,
    ArchiveUnavailable,
    DiskUnavailable,
    EagleError,
    NoConditionalWrites,
)
from eagle_logger.logs.folder import StuckUserHour, concerns_whole_volume
from eagle_logger.rotation.archive_reach import ArchiveReach
from eagle_logger.rotation.archive_user_hour import archive_user_hour
from eagle_logger.rotation.rotation_result import RotationResult
from eagle_logger.rotation.rotation_rules import RotationRules, UserHour

_log = structlog.get_logger("eagle_logger.rotation")

UPLOAD_THREADS = 8
"""Users of one shard that are worked on at once: an upload is mostly waiting."""


def rotate_shard(
    rules: RotationRules,
    archive: Archive,
    hour: Hour,
    shard: str,
    *,
    stopping: Callable[[], bool] = lambda: False,
    reach: ArchiveReach | None = None,
    archiving: bool = True,
) -> RotationResult:
    """Archive one shard of an hour as far as that is possible now, and delete files whose retention
    is over. Blocking; safe to repeat, and beside other rotators on any disk.

    Neither a user's failure nor a folder that cannot be read stops the others. `stopping` is called
    before each user; when it returns True, the others are `deferred`. They are deferred too when
    the archive is away, and without `archiving`; files whose retention is over are then still
    deleted, unless the archive replaces objects. `reach` is what this process knows of the archive.
    """
    reach = ArchiveReach(lambda: archive) if reach is None else reach
    done = RotationResult()
    try:
        with rules.folder.rotating(hour, shard) as has_lock:
            if not has_lock:
                return RotationResult(busy=1)
            user_hours = rules.user_hours(hour, shard)
            distrust = _reason_to_distrust(archive, reach, rules.now)
            if distrust is not None:
                _log.error("archive_unavailable", hour=hour.name, shard=shard, reason=str(distrust))
                done += RotationResult(errors={f"{hour} {shard}": str(distrust)})
            if isinstance(distrust, NoConditionalWrites):
                return done + RotationResult(deferred=sum(map(rules.has_to_archive, user_hours)))
            rotation = _ShardRotation(rules, archive, reach, user_hours, stopping)
            done += rotation.run(archiving=archiving)
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
            reach.still_answers(now)  # notes that the archive is away; then every user is deferred
        return exc
    return None


class _ShardRotation:
    """A few threads, each taking the next user until there is none or it is time to stop."""

    def __init__(
        self,
        rules: RotationRules,
        archive: Archive,
        reach: ArchiveReach,
        user_hours: list[UserHour],
        stopping: Callable[[], bool],
    ) -> None:
        self._rules = rules
        self._archive = archive
        self._reach = reach
        self._user_hours = user_hours
        self._next = 0
        self._stopping = stopping
        self._leaves_the_rest = False
        self._lock = threading.Lock()

    def run(self, *, archiving: bool) -> RotationResult:
        self._leaves_the_rest = not archiving
        threads = min(UPLOAD_THREADS, len(self._user_hours))
        if threads <= 1:
            done = self._rotate_users()
        else:
            with ThreadPoolExecutor(threads, thread_name_prefix="rotate") as pool:
                # A copy of the context, so that log lines of the threads name this task's message.
                contexts = [contextvars.copy_context() for _ in range(threads)]
                results = pool.map(lambda context: context.run(self._rotate_users), contexts)
                done = sum(results, RotationResult())
        return sum(map(self._defer, self._user_hours[self._next :]), done)

    def _rotate_users(self) -> RotationResult:
        done = RotationResult()
        while (user_hour := self._next_user_hour()) is not None:
            if not self._rules.is_paused(user_hour):
                done += self._archive_user(user_hour)
            done += self._delete_expired(user_hour)
        return done

    def _next_user_hour(self) -> UserHour | None:
        with self._lock:
            self._leaves_the_rest |= self._reach.is_away()
            is_last = self._next == len(self._user_hours)
            if is_last or self._leaves_the_rest or self._stopping():
                return None
            self._next += 1
            return self._user_hours[self._next - 1]

    def _defer(self, user_hour: UserHour) -> RotationResult:
        """Defer a user. Deleting files whose retention is over needs no archive, so that is done
        now."""
        if self._stopping():
            return RotationResult(deferred=1)
        deferred = int(self._rules.has_to_archive(user_hour))
        return self._delete_expired(user_hour) + RotationResult(deferred=deferred)

    def _archive_user(self, user_hour: UserHour) -> RotationResult:
        """Archive one user's hour. If it fails and the archive does not answer, the user is
        deferred. If the archive answers and a second try fails too, the cause is the user's own,
        and the hour is noted as stuck."""
        done, is_second_try = RotationResult(), False
        while True:
            try:
                for step in archive_user_hour(self._rules, self._archive, user_hour):
                    done += step
                    if step.objects:
                        self._reach.note_stored()
                if user_hour.stuck is not None:
                    self._rules.folder.forget_stuck(user_hour.shard, user_hour.stuck)
            except ArchiveUnavailable as exc:
                if is_second_try or isinstance(exc, ArchiveDamages):
                    self._reach.note_failure_of(user_hour.cloud_id)
                    return done + self._note_stuck(user_hour, str(exc))
                if self._stopping() or not self._reach.still_answers(self._rules.now):
                    self._log_failure(_log.warning, "archive_unavailable", user_hour, exc)
                    errors = {user_hour.cloud_id: str(exc)}
                    return done + RotationResult(deferred=1, errors=errors)
                # The archive may have come back just now, so the user gets a second try, which
                # yields its cloud id again.
                done, is_second_try = replace(done, cloud_ids=()), True
            except (EagleError, OSError) as exc:
                if concerns_whole_volume(exc):
                    self._log_failure(_log.error, "rotation_failed", user_hour, exc)
                    return done + RotationResult(errors={user_hour.cloud_id: str(exc)})
                return done + self._note_stuck(user_hour, str(exc))
            except Exception as exc:  # noqa: BLE001  (one user cannot harm another, whatever it is)
                self._log_failure(_log.exception, "rotation_failed", user_hour, exc)
                return done + self._note_stuck(user_hour, repr(exc))
            else:
                return done

    def _note_stuck(self, user_hour: UserHour, reason: str) -> RotationResult:
        """Write a note that this user's hour fails for a reason of its own."""
        now, before = self._rules.now, user_hour.stuck
        if before is None:
            note = StuckUserHour.first(user_hour.cloud_id, user_hour.hour, reason, now)
        else:
            note = before.again(reason, now)
        _log.error(
            "hour_is_stuck",
            cloud_id=user_hour.cloud_id,
            hour=user_hour.hour.name,
            tries=note.tries,
            reason=reason,
        )
        try:
            self._rules.folder.note_stuck(user_hour.shard, note)
        except DiskUnavailable as exc:
            self._log_failure(_log.warning, "stuck_hour_not_noted", user_hour, exc)
        return RotationResult(stuck=1, errors={user_hour.cloud_id: reason})

    def _delete_expired(self, user_hour: UserHour) -> RotationResult:
        removed = unindexed = 0
        errors: dict[str, str] = {}
        try:
            for file in self._rules.expired_files(user_hour):
                if not self._rules.is_indexed(file):
                    self._rules.index_copies.note_deletion(file.hour)
                    unindexed += 1
                self._rules.folder.remove(file)
                removed += 1
        except (EagleError, OSError) as exc:
            self._log_failure(_log.error, "deletion_failed", user_hour, exc)
            errors[user_hour.cloud_id] = str(exc)
        return RotationResult(removed=removed, removed_unindexed=unindexed, errors=errors)

    def _log_failure(
        self, log: Callable[..., object], event: str, user_hour: UserHour, exc: Exception
    ) -> None:
        log(event, cloud_id=user_hour.cloud_id, hour=user_hour.hour.name, reason=str(exc))
