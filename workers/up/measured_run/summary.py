"""The end of a measured run: archive the hours that are still open, and sum up what was counted and
what the comparison with the simulator's ledger found."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from eagle_logger import wiring
from eagle_logger.errors import TablesNotInstalled
from eagle_logger.inspection.ledger_comparison import LedgerComparison
from eagle_logger.rotation.rotation_result import RotationResult
from eagle_logger.settings import Settings
from eagle_logger.tables.table_result import RollUpResult
from eagle_logger.telemetry import late_percentile
from workers.up.measured_run.throughput import ThroughputSample, growth

_MAX_ROTATION_ROUNDS = 3
"""How often hours that the archive did not take are offered to it."""
_MAX_EXAMPLES = 10


@dataclass(frozen=True, slots=True)
class Summary:
    """What `up --json` prints.

    Fetches, requests, failures, missed turns and lateness are counted since every program was
    ready; readings and objects since the data directory's first start. Figures that need a
    simulator's ledger are None without one.
    """

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


async def archive_open_hours(settings: Settings) -> RotationResult:
    """Seal and archive every hour on this log volume, even if it is not over. The rotator must have
    stopped."""
    store = wiring.user_store(settings, passwords=False)
    logger = await wiring.data_logger(settings, store.schedule, name="up", holder="up")
    total = RotationResult()
    try:
        for _ in range(_MAX_ROTATION_ROUNDS):
            this_round = RotationResult()
            for hour, shard in logger.plan_rotation(include_open=True, heed_pauses=False):
                this_round += await asyncio.to_thread(
                    logger.rotate_shard, hour, shard, include_open=True, heed_pauses=False
                )
            total += this_round
            if not this_round.deferred and not this_round.errors:
                break
        await asyncio.to_thread(logger.index_hours, at_once=True)
    finally:
        await logger.close()
        await store.close()
    return total


def build_tables(settings: Settings) -> RollUpResult | None:
    """Build the tables of every day that is archived, today's too. None without pyarrow."""
    try:
        tables = wiring.day_tables(settings)
    except TablesNotInstalled:
        return None
    total = RollUpResult()
    now = settings.clock.now()
    for day, bucket in tables.work(now, [], include_open=True):
        total += tables.build(day, bucket, now)
    return total


def summarise(
    begin: ThroughputSample, end: ThroughputSample, verdict: LedgerComparison | None
) -> Summary:
    more = growth(begin.tally, end.tally)
    return Summary(
        homes=end.totals.users,
        fetches=more["fetches"],
        requests=more["requests"],
        failed_fetches=more["failed_fetches"],
        missed_turns=more["missed_turns"],
        late_p99_s=late_percentile(more, 0.99),
        readings_served=None if verdict is None else verdict.readings_served,
        readings_logged=end.tally.get("readings_logged", 0),
        readings_archived=None if verdict is None else verdict.readings_archived,
        objects=None if verdict is None else verdict.objects,
        lost=None if verdict is None else verdict.lost,
        duplicated=None if verdict is None else verdict.duplicated,
        unreturnable=None if verdict is None else verdict.unreturnable,
    )


def complaints(verdict: LedgerComparison) -> list[str]:
    """What is wrong with the archive, for people, in a few lines."""
    counts = {
        "readings never served": verdict.unexpected,
        "lines under another hour": verdict.misfiled,
    }
    lines = [f"{count} {what} are in the archive" for what, count in counts.items() if count]
    return [
        *lines,
        *(f"unreadable: {path}" for path in verdict.unreadable[:_MAX_EXAMPLES]),
        *verdict.examples[:_MAX_EXAMPLES],
    ]
