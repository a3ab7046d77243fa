"""The figures of a measurement: pure arithmetic on samples taken before and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from eagle_logger.telemetry import late_percentile


@dataclass(frozen=True, slots=True)
class Use:
    """The resources that a group of processes has used up to a moment."""

    at: float
    cpu: Mapping[int, float]
    """Process id → seconds of CPU (user and system) since its start."""
    memory: Mapping[str, int] = field(default_factory=dict)
    """Process name → proportional set size in bytes. Shared memory counts in equal parts."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The whole machine's CPU seconds up to a moment, over all cores: `busy` and `total`."""

    busy: float
    total: float


@dataclass(frozen=True, slots=True)
class Row:
    """One contender's measurement over `seconds`. `cpu` is that of all its processes; Redis and the
    relay have their own figures. `others` is the share of the machine that was busy with anything
    else."""

    name: str
    seconds: float
    fetches: int
    cpu: float
    relay_cpu: float
    redis_cpu: float
    others: float
    memory: Mapping[str, int]
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Fetches per second of wall time."""
        return self.fetches / self.seconds

    @property
    def cpu_per_fetch(self) -> float | None:
        """Microseconds of the contender's own CPU; None if nothing was fetched."""
        return None if not self.fetches else self.cpu / self.fetches * 1e6

    @property
    def cores(self) -> float:
        """How many cores the contender kept busy."""
        return self.cpu / self.seconds

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "seconds": round(self.seconds, 3),
            "fetches": self.fetches,
            "fetches_per_second": round(self.rate, 1),
            "cpu_us_per_fetch": _rounded(self.cpu_per_fetch),
            "cores": round(self.cores, 3),
            "relay_cpu_us_per_fetch": _rounded(per(self.relay_cpu, self.fetches)),
            "redis_cpu_us_per_fetch": _rounded(per(self.redis_cpu, self.fetches)),
            "others_share_of_machine": round(self.others, 3),
            "memory_bytes": dict(self.memory),
            **self.more,
        }


def per(seconds: float, count: int) -> float | None:
    """Microseconds for each of `count`."""
    return seconds / count * 1e6 if count else None


def cpu_between(before: Use, after: Use) -> float:
    """CPU seconds used between the two samples. A process that began in between counts from its
    start; one that ended in between is left out."""
    return sum(used - before.cpu.get(pid, 0.0) for pid, used in after.cpu.items())


def used_by_each(
    names: Mapping[str, int], before: Mapping[int, float], after: Mapping[int, float]
) -> dict[str, float]:
    """Name → CPU seconds between the two samples, without descendants."""
    return {
        name: round(after.get(pid, 0.0) - before.get(pid, 0.0), 2) for name, pid in names.items()
    }


def threads_by_role(
    pid: int, before: Mapping[int, float], after: Mapping[int, float]
) -> dict[str, float]:
    """CPU seconds between the two samples: of a worker's main thread (Celery), of its busiest other
    thread (the event loop), and of the rest."""
    used = {thread: cpu - before.get(thread, 0.0) for thread, cpu in after.items()}
    main = used.pop(pid, 0.0)
    busiest = max(used.values(), default=0.0)
    return {
        "main": round(main, 2),
        "loop": round(busiest, 2),
        "rest": round(max(0.0, sum(used.values()) - busiest), 2),
    }


def share_of_others(before: Machine, after: Machine, accounted: float) -> float:
    """The share of the machine (0 to 1) that was busy with something other than `accounted` CPU
    seconds."""
    total = after.total - before.total
    return min(1.0, max(0.0, (after.busy - before.busy - accounted) / total)) if total > 0 else 0.0


def grown(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """How much each counter grew; those that did not are left out."""
    return {
        name: count - before.get(name, 0)
        for name, count in after.items()
        if count != before.get(name, 0)
    }


def lateness(tally: Mapping[str, int]) -> dict[str, float | None]:
    """Seconds from the due time to the start of the fetch, each the upper bound of its counter."""
    return {
        f"late_{name}": late_percentile(tally, share)
        for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
    }


def times(ours: Row | None, other: Row) -> float | None:
    """How many fetches ours makes for the CPU of one fetch of the other."""
    if ours is None or ours.cpu_per_fetch is None or other.cpu_per_fetch is None:
        return None
    return other.cpu_per_fetch / ours.cpu_per_fetch


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 1)


def chore(name: str, seconds: float, cpu: float, count: int, note: str) -> dict[str, Any]:
    """The figures of work that was done once, on `count` things."""
    return {
        "name": name,
        "seconds": round(seconds, 3),
        "cpu": round(cpu, 3),
        "count": count,
        "per_second": round(count / seconds, 1),
        "note": note,
    }
