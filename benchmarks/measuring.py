"""One contender at a time: let it warm up, then look at everything twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks import proc
from benchmarks.figures import Machine, Row, Use, cpu_between, share_of_others, used_by_each
from benchmarks.stage import Processes, Redis, Relay, redis_cpu


@dataclass(frozen=True, slots=True)
class _Look:
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
    explain: Callable[[Mapping[str, Any], Mapping[str, Any], float], Mapping[str, Any]] = lambda *_: {},
) -> Row:
    """Watch `contenders` (name → process id) for so many seconds. `more` is looked at before and after, and `explain` makes of
    the two, and of the seconds between, what goes into the row."""

    def look() -> _Look:
        return _Look(
            proc.use(contenders),
            proc.cpu_seconds(relay.pid),
            redis_cpu(redis_server) if redis_server else 0.0,
            relay.answered(),
            proc.machine(),
            more(),
        )

    before = look()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        processes.check()
        time.sleep(min(0.5, max(0.0, until - time.monotonic())))
    after = look()
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
        },
    )
