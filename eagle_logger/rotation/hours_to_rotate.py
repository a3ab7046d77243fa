"""Which hours and shards of a log volume have something to archive or to delete."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from enum import Enum, auto

import structlog

from eagle_logger.core.hours import Hour
from eagle_logger.core.rotation_plan import nothing_to_delete_yet, oldest_first
from eagle_logger.logs.folder import LogFolder
from eagle_logger.rotation.rotation_rules import RotationRules

_log = structlog.get_logger("eagle_logger.rotation")


def hours_to_rotate(rules: RotationRules) -> list[tuple[Hour, str]]:
    """The hours and shards with something to rotate or to delete, oldest hour first.

    A shard comes last if all its work is for users who are stuck, in this hour or in another one:
    what keeps one of a user's hours from the archive may keep all of them.
    """
    hours = rules.folder.hours()
    stuck_users = {note.cloud_id for hour in hours for note in rules.folder.stuck(hour)}
    first, last = list[tuple[Hour, str]](), list[tuple[Hour, str]]()
    for hour in hours:
        if nothing_to_delete_yet(hour, rules.retention, rules.now) and not (
            rules.folder.unarchived(hour)
        ):
            continue
        for shard in _shards(rules.folder, hour):
            work = _work_in(rules, hour, shard, stuck_users)
            if work is _Work.OF_ANY_USER:
                first.append((hour, shard))
            elif work is _Work.OF_STUCK_USERS:
                last.append((hour, shard))
    return [*oldest_first(first), *oldest_first(last)]


class _Work(Enum):
    NONE = auto()
    OF_STUCK_USERS = auto()
    OF_ANY_USER = auto()


def _work_in(rules: RotationRules, hour: Hour, shard: str, stuck_users: AbstractSet[str]) -> _Work:
    try:
        user_hours = rules.user_hours(hour, shard)
    except OSError:
        return _Work.OF_STUCK_USERS  # rotation of the shard reports why it cannot be read
    work = _Work.NONE
    for user_hour in user_hours:
        if rules.has_work(user_hour):
            if user_hour.cloud_id not in stuck_users:
                return _Work.OF_ANY_USER  # has_work reads files, so look at no further users
            work = _Work.OF_STUCK_USERS
    return work


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
