"""More homes than the machine can visit: what it does with as many as it serves, twice and three
times as many, and when the load has fallen.

All of it is measured in one run of one system, because the machine is not the same an hour later.
The run begins with far too many homes. What it visits then is what the machine can do. From load to
load, homes are taken away.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

from benchmarks import ping
from benchmarks.figures import Row, grown, lateness, per
from benchmarks.measuring import measure
from benchmarks.ours import System
from benchmarks.stage import Failed, Relay, Stage
from eagle_logger import wiring
from eagle_logger.core.kinds import Kind
from eagle_logger.settings import Settings
from eagle_logger.users.store import UserStore
from tests.support.set_membership import breaches
from workers.bridge.adhoc_requests import AdhocRequests
from workers.bridge.publisher import make_publisher
from workers.up.simulators import read_homes

LOADS = {"three times too many": 3.0, "twice too many": 2.0, "saturated": 1.0}
"""In the order in which homes are taken away."""
LOAD_AFTERWARDS = 0.7
PINGED = 40
"""Homes beside the others, of which each is asked for once in each load."""
DEMAND_ONLY = dict.fromkeys((Kind.SUMMATION, Kind.PRICE, Kind.MESSAGE), 86400.0)
"""The intervals of the others, so that each visit is one request. Otherwise a visit would be more
work the more seldom it is: a summation is due once a minute, however seldom its home is visited."""
PLAIN_GRID = {"EAGLE_IN_STEP": "off"}
"""Otherwise homes would find their meters' rhythm while they are measured, and be due less often.
"""
ROUNDS_TO_SETTLE, ROUNDS_MEASURED = 2, 5
VISITS_WITHIN, WAIT_WITHIN, PING_WITHIN_S = 0.05, 1.5, 1.0
"""The aims: visits a second as when saturated, the longest wait of a home in means, an ad-hoc fetch
from the request to its line."""
_ALL_VISITED_WITHIN_S = 300.0
_REMOVED_AT_ONCE = 200


@dataclass(slots=True)
class OverloadResult:
    rows: list[Row] = field(default_factory=list)
    afterwards: Mapping[str, Any] = field(default_factory=dict)
    falls_short: list[str] = field(default_factory=list)


def overload(
    stage: Stage,
    relay: Relay,
    *,
    homes: int,
    seconds: float,
    workers: int,
    max_in_flight: int | None,
) -> OverloadResult:
    """Measure all loads, the heaviest first. `homes` must be at least three times as many as the
    machine serves. `max_in_flight` makes the relay's latency the limit instead of the machine."""
    settings = dict(PLAIN_GRID)
    if max_in_flight is not None:
        settings["EAGLE_MAX_IN_FLIGHT"] = str(max_in_flight)
    with stage.processes("overload") as processes:
        system = System(processes, relay.post_url, workers=workers, **settings)
        system.start()
        accounts = read_homes(relay.users_file)[: homes + PINGED]
        pinged = [(one.user.cloud_id, one.credentials) for one in accounts[homes:]]
        asyncio.run(ping.seed_users(system.settings, pinged, ping.IDLE))
        polled = [(one.user.cloud_id, one.credentials) for one in accounts[:homes]]
        asyncio.run(ping.seed_users(system.settings, polled, DEMAND_ONLY))
        names = [cloud_id for cloud_id, _ in polled]
        period = system.settings.intervals[Kind.DEMAND]
        system.processes.wait_until(
            "a visit to every home",
            lambda: system.tally().get("fetches", 0) >= homes,
            _ALL_VISITED_WITHIN_S,
        )
        served = round(_pace(system, seconds) * period)
        if served * max(LOADS.values()) > homes:
            raise Failed(
                f"the machine serves {served} homes, so three times too many are "
                f"{3 * served}: give --too-many that many, and a tenth more"
            )
        result = OverloadResult()
        for name, times in LOADS.items():
            names = _keep(system, names, round(times * served))
            time.sleep(ROUNDS_TO_SETTLE * times * period)
            result.rows.append(
                _measure_load(
                    system,
                    relay,
                    name,
                    names,
                    pinged=[cloud_id for cloud_id, _ in pinged],
                    seconds=max(seconds, ROUNDS_MEASURED * times * period),
                )
            )
        names = _keep(system, names, round(LOAD_AFTERWARDS * served))
        result.afterwards = _watch_afterwards(system, len(names), period)
        if wrong := system.ask(lambda store: breaches(store.users)):
            raise Failed(f"users in neither set or in both: {wrong[:3]}")
        result.falls_short = list(what_falls_short(result.rows, result.afterwards))
        return result


def _pace(system: System, seconds: float) -> float:
    """Visits a second."""
    before, began = system.tally().get("fetches", 0), time.monotonic()
    time.sleep(seconds)
    system.processes.check()
    return (system.tally().get("fetches", 0) - before) / (time.monotonic() - began)


def _keep(system: System, names: Sequence[str], count: int) -> list[str]:
    """Remove all but `count` of these homes, spread over all of them. Returns those that stay."""
    kept = [names[number * len(names) // count] for number in range(count)]
    system.ask(lambda store: _remove(store, sorted(set(names) - set(kept))))
    return kept


async def _remove(store: UserStore, names: Sequence[str]) -> None:
    for start in range(0, len(names), _REMOVED_AT_ONCE):
        await asyncio.gather(
            *(store.users.remove(name) for name in names[start : start + _REMOVED_AT_ONCE])
        )


def _measure_load(
    system: System,
    relay: Relay,
    name: str,
    names: Sequence[str],
    *,
    pinged: Sequence[str],
    seconds: float,
) -> Row:
    log_sizes = {worker: system.processes.log(worker).stat().st_size for worker in system.fetching}
    with ThreadPoolExecutor(1) as thread:
        pings: list[Future[list[float]]] = []

        def begin_pings() -> None:
            pings.append(thread.submit(asyncio.run, _ping_all(system.settings, pinged, seconds)))

        def explain(
            before: Mapping[str, int], after: Mapping[str, int], passed: float
        ) -> dict[str, Any]:
            more = grown(before, after)
            visits = more.get("fetches", 0)
            waits = waits_between(_visit_times(system, log_sizes), names)
            mean = len(names) * passed / visits
            took = sorted(pings[0].result())
            pace = system.ask(lambda store: store.fleet.progress()).get("dispatch", {})
            return {
                "homes": len(names),
                "visits_per_second": round(visits / passed, 1),
                "visits": visits,
                "wait_mean": round(mean, 2),
                "wait_longest": round(max(waits), 2),
                "wait_longest_in_means": round(max(waits) / mean, 2),
                "leases_unclaimed": more.get("leases_unclaimed", 0),
                "ping_p50": round(took[len(took) // 2], 3),
                "ping_max": round(took[-1], 3),
                "visited_every": pace.get("visited_every"),
                **lateness(more),
            }

        return measure(
            name,
            system.processes,
            system.contenders(),
            relay,
            seconds=seconds,
            redis_server=system.redis,
            more=system.tally,
            begin=begin_pings,
            explain=explain,
        )


async def _ping_all(settings: Settings, cloud_ids: Sequence[str], seconds: float) -> list[float]:
    """Ask for one home after the other, and wait for each one's line. Returns the seconds that each
    took."""
    store = wiring.user_store(settings, passwords=False)
    adhoc = AdhocRequests(store.schedule, make_publisher(settings))

    async def ask(cloud_id: str) -> None:
        await adhoc.fetch_now([cloud_id])

    async def ping_one(number: int, cloud_id: str) -> float:
        await asyncio.sleep(number * seconds / len(cloud_ids))
        return await ping.until_line(settings, ask, cloud_id)

    try:
        return await asyncio.gather(*map(ping_one, range(len(cloud_ids)), cloud_ids))
    finally:
        adhoc.close()
        await store.close()


def _visit_times(system: System, log_sizes: Mapping[str, int]) -> Iterable[tuple[str, float]]:
    """The homes of every message that the workers have handled since their logs had these sizes,
    and when."""
    for worker, size in log_sizes.items():
        with system.processes.log(worker).open("rb") as lines:
            lines.seek(size)
            for line in lines:
                if b'"event": "fetch"' in line:
                    event = json.loads(line)
                    at = datetime.fromisoformat(event["timestamp"]).timestamp()
                    yield from ((cloud_id, at) for cloud_id in event["cloud_ids"])


def waits_between(visits: Iterable[tuple[str, float]], names: Sequence[str]) -> list[float]:
    """The seconds between two visits to one of these homes, over all of them. The time from a
    home's last visit to the end counts too, or else a home that is never visited again would not
    show. Without any visit there is one endless wait."""
    times: dict[str, list[float]] = {name: [] for name in names}
    for name, at in visits:
        if name in times:
            times[name].append(at)
    moments = [at for visited in times.values() for at in visited]
    if not moments:
        return [float("inf")]
    began, ended = min(moments), max(moments)
    return [
        later - earlier
        for visited in times.values()
        for earlier, later in pairwise([*(sorted(visited) or [began]), ended])
    ]


def _watch_afterwards(system: System, homes: int, period: float) -> dict[str, Any]:
    """Four rounds after homes were taken away: when the last one was overdue, and how many were in
    the last two rounds."""
    began, overdue = time.monotonic(), list[tuple[float, int]]()
    while (passed := time.monotonic() - began) < 4 * period:
        overdue.append((passed, system.ask(lambda store: store.fleet.totals()).overdue))
        time.sleep(0.5)
    late = [passed for passed, count in overdue if count]
    return {
        "homes": homes,
        "nobody_late_after_s": round(max(late, default=0.0), 1),
        "late_after_two_rounds": max(count for passed, count in overdue if passed > 2 * period),
    }


def what_falls_short(rows: Sequence[Row], afterwards: Mapping[str, Any]) -> Iterable[str]:
    """What does not reach its aim. The last row is the saturated machine."""
    full = rows[-1].more["visits_per_second"]
    for row in rows:
        found = row.more
        if abs(found["visits_per_second"] - full) > VISITS_WITHIN * full:
            yield f"{row.name}: {found['visits_per_second']} visits a second, saturated {full}"
        if found["wait_longest_in_means"] > WAIT_WITHIN:
            yield f"{row.name}: the longest wait is {found['wait_longest_in_means']} means"
        if found["leases_unclaimed"]:
            yield f"{row.name}: {found['leases_unclaimed']} leases ran out unclaimed"
        if found["ping_max"] > PING_WITHIN_S:
            yield f"{row.name}: an ad-hoc fetch took {found['ping_max']} s"
    if afterwards["late_after_two_rounds"]:
        yield f"afterwards: {afterwards['late_after_two_rounds']} late after two rounds"


def table_rows(rows: Sequence[Row]) -> list[list[object]]:
    """For `HEADINGS`. CPU is per visit, and not per request."""
    full = rows[-1].more["visits_per_second"]
    return [
        [
            row.name,
            row.more["homes"],
            row.more["visits_per_second"],
            row.more["visits_per_second"] / full,
            per(row.cpu, row.more["visits"]),
            per(row.relay_cpu, row.more["visits"]),
            *(row.more[name] for name in _SHOWN),
            f"{row.others:.0%}",
        ]
        for row in rows
    ]


_SHOWN = (
    *("wait_mean", "wait_longest", "wait_longest_in_means", "leases_unclaimed"),
    *("ping_p50", "ping_max", "visited_every"),
)
HEADINGS = (
    *("load", "homes", "visits/s", "÷ saturated", "CPU µs/visit", "relay µs/visit"),
    *("mean wait, s", "longest, s", "longest ÷ mean", "leases unclaimed"),
    *("ad hoc p50, s", "max, s", "status: every, s", "others' share"),
)
