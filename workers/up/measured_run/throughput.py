"""What the system did between two moments, by its counters; for the terminal and the summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from eagle_logger.broker_queues import Broker
from eagle_logger.core.circuit_breaker import Phase
from eagle_logger.telemetry import late_percentile
from eagle_logger.users.store import Fleet, Totals


@dataclass(frozen=True, slots=True)
class ThroughputSample:
    """The counters, which count since the system's first start, at one moment.

    `at`: monotonic time, in seconds. `waiting`: messages, by queue.
    """

    at: float
    tally: Mapping[str, int]
    totals: Totals
    waiting: Mapping[str, int]
    relay: Phase = Phase.CLOSED
    is_drained: bool = False


async def take_sample(
    fleet: Fleet, broker: Broker, queues: list[str], at: float, *, is_drained: bool
) -> ThroughputSample:
    """Raises RedisUnavailable."""
    relay = (await fleet.breaker()).phase
    return ThroughputSample(
        at, await fleet.tally(), await fleet.totals(), broker.waiting(queues), relay, is_drained
    )


def growth(before: Mapping[str, int], after: Mapping[str, int]) -> Counter[str]:
    """By how much each counter grew."""
    return Counter({name: count - before.get(name, 0) for name, count in after.items()})


def flow_line(before: ThroughputSample, now: ThroughputSample) -> str:
    """One line about the time between two samples: `25 users · 4.2 fetches/s · …`."""
    more = growth(before.tally, now.tally)
    late = late_percentile(more, 0.99)
    parts = [
        f"{now.totals.users} {'user' if now.totals.users == 1 else 'users'}",
        f"{more['fetches'] / max(now.at - before.at, 0.001):.1f} fetches/s",
        f"{now.tally.get('readings_logged', 0)} readings logged (+{more['readings_logged']})",
        f"{now.tally.get('uploads_done', 0)} objects archived",
        f"{more['failed_fetches']} failed",
        f"{more['missed_turns']} turns missed",
    ]
    if late is not None:
        parts.append(f"late p99 {late:g} s")
    parts.append(f"{sum(now.waiting.values())} messages waiting")
    return " · ".join([*parts, *_troubles(more, now)])


def _troubles(more: Mapping[str, int], now: ThroughputSample) -> Iterator[str]:
    if now.totals.refused:
        yield f"{now.totals.refused} refused"
    if now.totals.parked:
        yield f"{now.totals.parked} parked"
    if more["uploads_failed"]:
        yield f"{more['uploads_failed']} UPLOADS FAILED"
    if now.relay is Phase.OPEN:
        yield "THE RELAY IS AWAY: few users are asked"
    if now.relay is Phase.RETURNING:
        yield "the relay answers again: more and more users are asked"
    if now.is_drained:
        yield "THIS NODE IS DRAINED: it fetches nothing"
