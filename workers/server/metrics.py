"""`/metrics`, for Prometheus: the system's counters and what waits. Never a label per user."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from eagle_logger.core.circuit_breaker import Phase
from eagle_logger.errors import RedisUnavailable
from eagle_logger.telemetry import lateness_counts
from eagle_logger.users.store import Totals
from workers.server.context import Bridge, Unarchived
from workers.server.handlers import Handler

LABELLED = {
    "failed_": ("eagle_failed_fetches", "Visits that failed, by why.", "reason"),
    "problems_": ("eagle_problems", "What could not be read or used, by what it was.", "what"),
    "sns_": ("eagle_sns_messages", "Messages from SNS over HTTP, by outcome.", "outcome"),
    "sqs_": ("eagle_sqs_messages", "Messages from SQS, by outcome.", "outcome"),
    "uploads_": ("eagle_uploads", "Uploads to the archive, by outcome.", "outcome"),
}
"""Counters whose names begin so become one metric with a label; all others `eagle_<name>_total`."""

HELP = {
    "fetches": "Visits to a user.",
    "requests": "Requests to the relay.",
    "bytes_logged": "Bytes of log lines written.",
    "log_commits": "Times that log lines of many users were made durable together.",
    "missed_turns": "Turns that passed without a visit.",
    "readings_logged": "Readings written and fsynced.",
    "readings_left_out": "Readings not written, because their home had no room left in its hour.",
    "unknown_users_asked": "Users that a message from outside named and nobody knows.",
    "parked_users_asked": "Users that a message from outside named and that are parked.",
}
RECENT = 60.0
"""Seconds: who has not reported for longer is gone, and his trouble with him."""
_NAME = re.compile(r"[a-z0-9_]+")
_SUM_OF_FAILURES = "failed_fetches"
_LATE = "late_"


@dataclass(frozen=True, slots=True)
class MetricsSnapshot:
    """Everything `/metrics` tells, at one moment (`now`: the store's). `progress`: seconds since
    each process reported. `disk_trouble`: how many of those that reported within a minute cannot
    write. `relay_is_away`: the breaker is open. `clocks_ahead`: seconds by which those processes'
    machines are ahead of Redis."""

    now: float
    totals: Totals
    tally: Mapping[str, int]
    progress: Mapping[str, float]
    queues: Mapping[str, int]
    disk_trouble: int = 0
    relay_is_away: bool = False
    clocks_ahead: Mapping[str, float] = field(default_factory=dict)


class MetricsHandler(Handler):
    async def get(self) -> None:
        await self.bridge.counters.flush()
        snapshot, unarchived = await asyncio.gather(
            _snapshot(self.bridge), self.bridge.unarchived()
        )
        self.set_header("Content-Type", CONTENT_TYPE_PLAIN_0_0_4)
        self.finish(exposition(snapshot, unarchived))


async def _snapshot(bridge: Bridge) -> MetricsSnapshot | None:
    """None while Redis is away: that is worth a scrape too."""
    fleet = bridge.fleet
    try:
        async with asyncio.timeout(5):
            now, totals, tally, progress, breaker, queues = await asyncio.gather(
                fleet.now(),
                fleet.totals(),
                fleet.tally(),
                fleet.progress(),
                fleet.breaker(),
                bridge.queues(),
            )
    except (RedisUnavailable, TimeoutError):
        return None
    ages = {name: now - float(note["at"]) for name, note in progress.items()}
    disk_trouble = sum(
        "disk_trouble" in note and ages[name] < RECENT for name, note in progress.items()
    )
    clocks = {
        name: float(note["clock_ahead"])
        for name, note in progress.items()
        if "clock_ahead" in note and ages[name] < RECENT
    }
    return MetricsSnapshot(
        now, totals, tally, ages, queues, disk_trouble, breaker.phase is Phase.OPEN, clocks
    )


def exposition(snapshot: MetricsSnapshot | None, unarchived: Unarchived) -> bytes:
    """Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected([*_from_disk(unarchived), *_from_redis(snapshot)]))
    return generate_latest(registry)


@dataclass(frozen=True, slots=True, order=True)
class Described:
    """One metric, for the reference."""

    name: str
    type: str
    labels: tuple[str, ...]
    meaning: str


def catalogue() -> list[Described]:
    """Every metric, by name. A counter that is not known here comes besides, as eagle_<name>_total."""
    nobody = Totals(users=0, due=0, overdue=0, leased=0, parked=0, oldest_due=None)
    found = [
        *_from_disk(Unarchived(0, 0, 0.0)),
        *_from_redis(MetricsSnapshot(0.0, nobody, {}, {}, {})),
    ]
    suffixes = {"counter": "_total"}
    return sorted(
        Described(
            metric.name + suffixes.get(metric.type, ""),
            metric.type,
            tuple(_labels(metric)),
            metric.documentation,
        )
        for metric in found
    )


def _labels(metric: Metric) -> Sequence[str]:
    """prometheus_client keeps them to itself."""
    labels: Sequence[str] = getattr(metric, "_labelnames", ())
    return labels


class _Collected(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        return self._metrics


def _from_disk(unarchived: Unarchived) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "eagle_unarchived_hours",
        "Hours on this disk that are over and not archived yet.",
        unarchived.hours,
    )
    yield GaugeMetricFamily(
        "eagle_unarchived_files",
        "Log files of these hours that are not archived yet.",
        unarchived.files,
    )
    if unarchived.oldest is not None:
        yield GaugeMetricFamily(
            "eagle_oldest_unarchived_hour_timestamp_seconds",
            "Start of the oldest of them. Hours where every file that is left is stuck do not count.",
            unarchived.oldest,
        )
    help_text = "Hours of single users on this disk that fail for a reason of their own."
    yield GaugeMetricFamily("eagle_stuck_hours", help_text, unarchived.stuck)


def _from_redis(snapshot: MetricsSnapshot | None) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "eagle_redis_up",
        "1 while the users' Redis and the broker answer.",
        int(snapshot is not None),
    )
    if snapshot is None:
        return
    yield from _users(snapshot)
    yield _labelled(
        "eagle_messages_waiting", "Messages no worker has taken yet.", "queue", snapshot.queues
    )
    yield _labelled(
        "eagle_progress_age_seconds", "Since each process reported.", "process", snapshot.progress
    )
    help_text = "Seconds by which the clock of each process' machine is ahead of Redis'."
    yield _labelled("eagle_clock_ahead_seconds", help_text, "process", snapshot.clocks_ahead)
    help_text = (
        "Processes that have stopped fetching because the disk is full or cannot be written."
    )
    yield GaugeMetricFamily("eagle_disk_trouble_processes", help_text, snapshot.disk_trouble)
    help_text = "1 while most visits fail, so that only a few users ask the relay on."
    yield GaugeMetricFamily("eagle_relay_breaker_open", help_text, int(snapshot.relay_is_away))
    yield from _counters(snapshot.tally)
    yield _lateness(snapshot.tally)


def _users(snapshot: MetricsSnapshot) -> Iterator[Metric]:
    totals = snapshot.totals
    states = {"due": totals.due, "leased": totals.leased, "parked": totals.parked}
    yield _labelled("eagle_users", "Users, by what becomes of them.", "state", states)
    yield GaugeMetricFamily(
        "eagle_users_overdue",
        "Users whose turn came more than two seconds ago and who wait.",
        totals.overdue,
    )
    help_text = "Users whose last visit failed and who are not parked, the refused among them."
    yield GaugeMetricFamily("eagle_users_failing", help_text, totals.failing)
    help_text = (
        "Users whom the relay refuses and who are not parked: each is asked again within the hour."
    )
    yield GaugeMetricFamily("eagle_users_refused", help_text, totals.refused)
    late = 0.0 if totals.oldest_due is None else max(0.0, snapshot.now - totals.oldest_due)
    yield GaugeMetricFamily(
        "eagle_oldest_due_age_seconds",
        "For how long the user who has waited longest has been due.",
        late,
    )


def _labelled(name: str, documentation: str, label: str, values: Mapping[str, float]) -> Metric:
    gauge = GaugeMetricFamily(name, documentation, labels=[label])
    for value, number in sorted(values.items()):
        gauge.add_metric([value], number)
    return gauge


def _counters(tally: Mapping[str, int]) -> Iterator[Metric]:
    families = {
        prefix: CounterMetricFamily(name, text, labels=[label])
        for prefix, (name, text, label) in LABELLED.items()
    }
    plain = {
        **dict.fromkeys(HELP, 0),
        **{name: number for name, number in tally.items() if _NAME.fullmatch(name)},
    }
    for name, number in sorted(plain.items()):
        prefix = next((prefix for prefix in LABELLED if name.startswith(prefix)), None)
        if name == _SUM_OF_FAILURES or name.startswith(_LATE):
            continue
        if prefix is None:
            yield CounterMetricFamily(
                f"eagle_{name}", HELP.get(name, name.replace("_", " ").capitalize() + "."), number
            )
        else:
            families[prefix].add_metric([name.removeprefix(prefix)], number)
    yield from families.values()


def _lateness(tally: Mapping[str, int]) -> Metric:
    """The last counter is open, so it is Prometheus' +Inf. Sums are not kept."""
    *bounded, last = lateness_counts(tally).items()
    buckets, below = [], 0
    for milliseconds, number in bounded:
        below += number
        buckets.append((str(milliseconds / 1000), below))
    buckets.append(("+Inf", below + last[1]))
    return HistogramMetricFamily(
        "eagle_fetch_lateness_seconds", "From due to fetched.", buckets=buckets, sum_value=None
    )
