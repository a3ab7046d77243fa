"""`/metrics`, for Prometheus: the system's counters, and what waits. No label ever names a user."""

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

from eagle_logger.broker_queues import DISPATCH
from eagle_logger.core.circuit_breaker import Phase
from eagle_logger.core.table_plan import ROLL_UP, waiting_days
from eagle_logger.errors import RedisUnavailable
from eagle_logger.telemetry import lateness_counts
from eagle_logger.users.store import Totals
from workers.server.context import Bridge
from workers.server.handlers import Handler
from workers.server.unarchived_hours import UnarchivedHours

LABELLED_COUNTERS = {
    "failed_": ("eagle_failed_fetches", "Visits that failed, by reason.", "reason"),
    "problems_": (
        "eagle_problems",
        "Things that could not be read or used, by what they were.",
        "what",
    ),
    "roll_ups_": (
        "eagle_roll_ups",
        "Rounds and buckets of day tables that were rolled up, by outcome.",
        "outcome",
    ),
    "sns_": ("eagle_sns_messages", "Messages from SNS over HTTP, by outcome.", "outcome"),
    "sqs_": ("eagle_sqs_messages", "Messages from SQS, by outcome.", "outcome"),
    "uploads_": ("eagle_uploads", "Uploads to the archive, by outcome.", "outcome"),
}
"""Metrics with a label, by the beginning of the counters' names: the metric's name, its help, its
label. A counter with another name becomes `eagle_<name>_total`."""

COUNTER_HELP = {
    "fetches": "Visits to a user.",
    "requests": "Requests to the relay.",
    "bytes_logged": "Bytes of log lines written.",
    "log_commits": "Times that log lines of many users were made durable together.",
    "missed_turns": "Turns that passed without a visit.",
    "lateness_milliseconds": "Milliseconds from due to the first request, over all visits.",
    "visits_in_step": "Visits to users whose turns follow their meters.",
    "polls": "Requests for the kind that is asked for at each visit, usually demand.",
    "readings_polled": "Readings of that kind that a reply showed for the first time.",
    "readings_timed": "Readings of users whose rhythm is known.",
    "reading_age_ms": "Milliseconds for which gateways had shown these readings (estimated).",
    "visit_milliseconds": "Milliseconds from claim to report, over all visits.",
    "leases_unclaimed": "Leases that ended before a worker claimed the user.",
    "readings_logged": "Readings written and fsynced.",
    "readings_left_out": "Readings not written, because their home had no room left in its hour.",
    "unknown_users_asked": "Users that a message from outside named and that do not exist.",
    "parked_users_asked": "Users that a message from outside named and that are parked.",
}
_REPORTED_WITHIN_S = 60.0
"""A process that has not reported for longer is gone, and its trouble with it."""
_COUNTER_NAME = re.compile(r"[a-z0-9_]+")
_SUM_OF_FAILURES = "failed_fetches"
_LATENESS_PREFIX = "late_"


@dataclass(frozen=True, slots=True)
class MetricsSnapshot:
    """Everything that `/metrics` shows of what is in Redis, at one moment."""

    now: float
    """In the user store's time."""
    totals: Totals
    tally: Mapping[str, int]
    progress: Mapping[str, float]
    """Seconds since each process reported."""
    queues: Mapping[str, int]
    disk_trouble: int = 0
    """How many of the processes that reported within a minute cannot write."""
    relay_is_away: bool = False
    """The breaker is open."""
    clocks_ahead: Mapping[str, float] = field(default_factory=dict)
    """Seconds by which the clock of each such process' machine is ahead of Redis'."""
    day_waiting_since: float | None = None
    """Since when the day has waited that has waited longest for its day tables."""
    pace: Mapping[str, float] | None = None
    """The seconds between two visits to a home (`visited_every`), and those that there should be
    (`instead_of`); None if the dispatcher has not reported within a minute."""


class MetricsHandler(Handler):
    async def get(self) -> None:
        await self.bridge.counters.flush()
        snapshot, unarchived = await asyncio.gather(
            _take_snapshot(self.bridge), self.bridge.unarchived()
        )
        self.set_header("Content-Type", CONTENT_TYPE_PLAIN_0_0_4)
        self.finish(exposition(snapshot, unarchived))


async def _take_snapshot(bridge: Bridge) -> MetricsSnapshot | None:
    """None while Redis is away. The metrics then show at least that."""
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
    recent = {name: note for name, note in progress.items() if ages[name] < _REPORTED_WITHIN_S}
    return MetricsSnapshot(
        now=now,
        totals=totals,
        tally=tally,
        progress=ages,
        queues=queues,
        disk_trouble=sum("disk_trouble" in note for note in recent.values()),
        relay_is_away=breaker.phase is Phase.OPEN,
        clocks_ahead={
            name: float(note["clock_ahead"])
            for name, note in recent.items()
            if "clock_ahead" in note
        },
        day_waiting_since=min(waiting_days(progress.get(ROLL_UP, {})).values(), default=None),
        pace=_pace(recent.get(DISPATCH, {})),
    )


def _pace(note: Mapping[str, str | int | float]) -> Mapping[str, float] | None:
    if "visited_every" not in note or "instead_of" not in note:  # an older dispatcher's
        return None
    return {name: float(note[name]) for name in ("visited_every", "instead_of")}


def exposition(snapshot: MetricsSnapshot | None, unarchived: UnarchivedHours) -> bytes:
    """The metrics in Prometheus' text format. Without a snapshot, Redis is away."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_FixedCollector([*_from_disk(unarchived), *_from_redis(snapshot)]))
    return generate_latest(registry)


@dataclass(frozen=True, slots=True, order=True)
class MetricDescription:
    """One metric, for the reference page."""

    name: str
    type: str
    labels: tuple[str, ...]
    meaning: str


def catalogue() -> list[MetricDescription]:
    """Every metric, in order of name. A counter that this module does not know is missing here, and
    `/metrics` shows it as `eagle_<name>_total`."""
    no_users = Totals(users=0, due=0, overdue=0, leased=0, parked=0, oldest_due=None)
    pace = {"visited_every": 6.0, "instead_of": 6.0}
    metrics = [
        *_from_disk(UnarchivedHours(0, 0, 0.0, unindexed_since=0.0)),
        *_from_redis(MetricsSnapshot(0.0, no_users, {}, {}, {}, day_waiting_since=0.0, pace=pace)),
    ]
    suffixes = {"counter": "_total"}
    return sorted(
        MetricDescription(
            metric.name + suffixes.get(metric.type, ""),
            metric.type,
            tuple(_label_names(metric)),
            metric.documentation,
        )
        for metric in metrics
    )


def _label_names(metric: Metric) -> Sequence[str]:
    # prometheus_client has no public way to ask for them.
    labels: Sequence[str] = getattr(metric, "_labelnames", ())
    return labels


class _FixedCollector(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        return self._metrics


def _from_disk(unarchived: UnarchivedHours) -> Iterator[Metric]:
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
        name = "eagle_oldest_unarchived_hour_timestamp_seconds"
        help_text = (
            "Start of the oldest of them. An hour does not count if all that is left is stuck."
        )
        yield GaugeMetricFamily(name, help_text, unarchived.oldest)
    help_text = "Hours of single users on this disk that fail for a reason of their own."
    yield GaugeMetricFamily("eagle_stuck_hours", help_text, unarchived.stuck)
    if unarchived.unindexed_since is not None:
        name = "eagle_oldest_unindexed_part_timestamp_seconds"
        help_text = (
            "When the oldest part on this disk was archived that the archive's index does not name."
        )
        yield GaugeMetricFamily(name, help_text, unarchived.unindexed_since)


def _from_redis(snapshot: MetricsSnapshot | None) -> Iterator[Metric]:
    help_text = "1 while the users' Redis and the broker answer."
    yield GaugeMetricFamily("eagle_redis_up", help_text, int(snapshot is not None))
    if snapshot is None:
        return
    yield from _user_gauges(snapshot)
    help_text = "Messages that no worker has taken yet."
    yield _labelled_gauge("eagle_messages_waiting", help_text, "queue", snapshot.queues)
    help_text = "Seconds since each process reported."
    yield _labelled_gauge("eagle_progress_age_seconds", help_text, "process", snapshot.progress)
    help_text = "Seconds by which the clock of each process' machine is ahead of Redis'."
    yield _labelled_gauge("eagle_clock_ahead_seconds", help_text, "process", snapshot.clocks_ahead)
    help_text = (
        "Processes that have stopped fetching because the disk is full or cannot be written."
    )
    yield GaugeMetricFamily("eagle_disk_trouble_processes", help_text, snapshot.disk_trouble)
    if snapshot.day_waiting_since is not None:
        name = "eagle_oldest_waiting_day_since_timestamp_seconds"
        help_text = (
            "When a round first saw the day that has waited longest for its day tables, though it "
            "is complete."
        )
        yield GaugeMetricFamily(name, help_text, snapshot.day_waiting_since)
    help_text = "1 while most visits fail, and only a few users are still fetched."
    yield GaugeMetricFamily("eagle_relay_breaker_open", help_text, int(snapshot.relay_is_away))
    yield from _counter_families(snapshot.tally)
    yield _lateness_histogram(snapshot.tally)


def _user_gauges(snapshot: MetricsSnapshot) -> Iterator[Metric]:
    totals = snapshot.totals
    states = {"due": totals.due, "leased": totals.leased, "parked": totals.parked}
    yield _labelled_gauge("eagle_users", "Users, by state.", "state", states)
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
        "Seconds for which the user that has waited longest has been due.",
        late,
    )
    if snapshot.pace is not None:
        yield GaugeMetricFamily(
            "eagle_visited_every_seconds",
            "Seconds between two visits to a home. More than the interval: there is too much.",
            snapshot.pace["visited_every"],
        )
        yield GaugeMetricFamily(
            "eagle_visit_interval_seconds",
            "Seconds that should lie between two visits to a home: the fleet's shortest interval.",
            snapshot.pace["instead_of"],
        )


def _labelled_gauge(
    name: str, documentation: str, label: str, values: Mapping[str, float]
) -> Metric:
    gauge = GaugeMetricFamily(name, documentation, labels=[label])
    for value, number in sorted(values.items()):
        gauge.add_metric([value], number)
    return gauge


def _counter_families(tally: Mapping[str, int]) -> Iterator[Metric]:
    families = {
        prefix: CounterMetricFamily(name, text, labels=[label])
        for prefix, (name, text, label) in LABELLED_COUNTERS.items()
    }
    counters = {
        **dict.fromkeys(COUNTER_HELP, 0),
        **{name: number for name, number in tally.items() if _COUNTER_NAME.fullmatch(name)},
    }
    for name, number in sorted(counters.items()):
        if name == _SUM_OF_FAILURES or name.startswith(_LATENESS_PREFIX):
            continue
        prefix = next((prefix for prefix in LABELLED_COUNTERS if name.startswith(prefix)), None)
        if prefix is None:
            help_text = COUNTER_HELP.get(name, name.replace("_", " ").capitalize() + ".")
            yield CounterMetricFamily(f"eagle_{name}", help_text, number)
        else:
            families[prefix].add_metric([name.removeprefix(prefix)], number)
    yield from families.values()


def _lateness_histogram(tally: Mapping[str, int]) -> Metric:
    """The last counter has no upper bound, so it is Prometheus' +Inf. Sums are not kept."""
    *bounded, last = lateness_counts(tally).items()
    buckets, below = [], 0
    for milliseconds, number in bounded:
        below += number
        buckets.append((str(milliseconds / 1000), below))
    buckets.append(("+Inf", below + last[1]))
    return HistogramMetricFamily(
        "eagle_fetch_lateness_seconds",
        "Seconds from the time when a user was due until it was fetched.",
        buckets=buckets,
        sum_value=None,
    )
