"""Measures one contender: two samples of everything, and many smaller ones between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks import proc
from benchmarks.figures import Machine, Row, Use, cpu_between, share_of_others, used_by_each
from benchmarks.stage import Processes, Redis, Relay, redis_cpu

MOST_SAMPLES = 100
"""In one measurement, and at most one a second."""


@dataclass(frozen=True, slots=True)
class _Sample:
    use: Use
    relay: float
    redis: float
    answered: int
    machine: Machine
    more: Mapping[str, Any]


def measure(
    name: str,
    processes: Processes,
    contenders: Mapping[str, int],
    relay: Relay,
    *,
    seconds: float,
    redis_server: Redis | None = None,
    more: Callable[[], Mapping[str, Any]] = dict,
    watch: Callable[[], Mapping[str, Any]] | None = None,
    begin: Callable[[], None] = lambda: None,
    is_over: Callable[[], bool] = lambda: False,
    explain: Callable[
        [Mapping[str, Any], Mapping[str, Any], float], Mapping[str, Any]
    ] = lambda *_: {},
) -> Row:
    """Measure `contenders` (name → process id) for this many seconds, or until `is_over`. `begin`
    is called once, after the first sample.

    `more` is called for the first and the last sample. From both, and the seconds between,
    `explain` makes further figures of the row. `watch` is called up to a hundred times in between,
    and its answers become `over_time`.
    """

    def take_sample() -> _Sample:
        return _Sample(
            proc.use(contenders),
            proc.cpu_seconds(relay.pid),
            redis_cpu(redis_server) if redis_server else 0.0,
            relay.answered(),
            proc.machine(),
            more(),
        )

    before, over_time = take_sample(), list[Mapping[str, Any]]()
    began = time.monotonic()
    begin()
    while (passed := time.monotonic() - began) < seconds and not is_over():
        processes.check()
        if watch and passed >= len(over_time) * max(1.0, seconds / MOST_SAMPLES):
            over_time.append({"second": round(passed, 1), **watch()})
        time.sleep(min(0.25, max(0.0, began + seconds - time.monotonic())))
    after = take_sample()
    cpu, passed = cpu_between(before.use, after.use), after.use.at - before.use.at
    relay_cpu, redis_used = after.relay - before.relay, after.redis - before.redis
    return Row(
        name=name,
        seconds=passed,
        fetches=after.answered - before.answered,
        cpu=cpu,
        relay_cpu=relay_cpu,
        redis_cpu=redis_used,
        others=share_of_others(before.machine, after.machine, cpu + relay_cpu + redis_used),
        memory=after.use.memory,
        more={
            "cpu_by_process": used_by_each(contenders, before.use.cpu, after.use.cpu),
            **explain(before.more, after.more, passed),
            **({"over_time": over_time} if watch else {}),
        },
    )
