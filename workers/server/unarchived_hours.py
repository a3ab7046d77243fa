"""What this machine's disk holds of hours that are over and not archived yet."""

from __future__ import annotations

from dataclasses import dataclass

from eagle_logger import wiring
from eagle_logger.core.rotation_plan import is_over, late_arrivals_between
from eagle_logger.settings import Settings


@dataclass(frozen=True, slots=True)
class UnarchivedHours:
    """`hours` and `files`: how many wait for the archive.

    `oldest`: start of the oldest hour of which a file can still be archived, in Unix seconds; None
    if there is no such hour. `stuck`: how many hours of single users fail for a reason of their
    own. `unindexed_since`: when the oldest part was archived that the archive's index does not
    name; None if it names every part.
    """

    hours: int
    files: int
    oldest: float | None
    stuck: int = 0
    unindexed_since: float | None = None


def unarchived_hours(settings: Settings) -> UnarchivedHours:
    """Look at the log volume. Blocks."""
    folder = wiring.log_folder(settings)
    now, grace = settings.clock.now(), settings.rotate_grace
    files = {}
    for hour in folder.hours():
        if is_over(hour, grace, now):
            # Late readings of an old hour open a new file, which has its own time to be rotated.
            late = folder.open_written(hour, *late_arrivals_between(hour, grace, now))
            files[hour] = folder.unarchived(hour) - late
    files = {hour: count for hour, count in files.items() if count > 0}
    stuck = {hour: len(folder.stuck(hour)) for hour in files}
    can_be_archived = [
        float(hour.start)
        for hour, count in files.items()
        if stuck[hour] < min(folder.users_waiting(hour), count)
    ]
    return UnarchivedHours(
        hours=len(files),
        files=sum(files.values()),
        oldest=min(can_be_archived, default=None),
        stuck=sum(stuck.values()),
        unindexed_since=min(folder.unindexed_hours().values(), default=None),
    )
