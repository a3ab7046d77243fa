"""The end of a measured run: archive what is still open, compare the archive with the ledger, say what came of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from eagle_logger import wiring
from eagle_logger.rotation import Rotated
from eagle_logger.settings import Settings
from eagle_logger.telemetry import late_percentile
from workers.up.flow import Snapshot, grown
from workers.up.preparation import System

_ROUNDS = 3
"""How often what the archive did not take is offered to it again."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What `up --json` prints. Counts of fetching are those since every program was ready; what only a simulator's ledger can
    tell is None without one."""

    homes: int
    fetches: int
    requests: int
    failed_fetches: int
    missed_turns: int
    late_p99_s: float | None
    readings_served: int | None
    readings_logged: int
    readings_archived: int | None
    objects: int | None
    lost: int | None
    duplicated: int | None
    unreturnable: int | None

    @property
    def is_well(self) -> bool:
        return not self.lost and not self.duplicated


async def rotate_what_is_open(settings: Settings) -> Rotated:
    """Seal and archive everything on this log volume, whether its hour is over or not. The rotator must have stopped."""
    logger = await wiring.data_logger(settings, name="up", holder="up", passwords=False)
    total = Rotated()
    try:
        for _ in range(_ROUNDS):
            again = Rotated()
            for hour, shard in logger.plan_rotation(include_open=True):
                again += await asyncio.to_thread(logger.rotate_log_to_s3, hour, shard, include_open=True)
            total += again
            if not again.deferred and not again.errors:
                break
    finally:
        await logger.close()
    return total


def summarise(system: System, begin: Snapshot, end: Snapshot) -> Summary:
    more = grown(begin.tally, end.tally)
    return Summary(
        homes=end.totals.users,
        fetches=more["fetches"],
        requests=more["requests"],
        failed_fetches=more["failed_fetches"],
        missed_turns=more["missed_turns"],
        late_p99_s=late_percentile(more, 0.99),
        readings_served=None,
        readings_logged=end.tally.get("readings_logged", 0),
        readings_archived=None,
        objects=None,
        lost=None,
        duplicated=None,
        unreturnable=None,
    )
