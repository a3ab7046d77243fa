"""Use of CPU and memory by processes and by the machine, as Linux shows it in /proc."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from benchmarks.figures import Machine, Use

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")


def use(processes: Mapping[str, int]) -> Use:
    """The use so far by these processes (name → id) and all their descendants, without those that
    have ended."""
    cpu: dict[int, float] = {}
    memory: dict[str, int] = {}
    for name, root in processes.items():
        for number, pid in enumerate(_family(root)):
            with suppress(FileNotFoundError, ProcessLookupError):
                cpu[pid] = cpu_seconds(pid)
                memory[f"{name}.{number}" if number else name] = _proportional(pid)
    return Use(time.monotonic(), cpu, memory)


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads of this process. Raises FileNotFoundError if it ended."""
    return _seconds(_PROC / str(pid) / "stat")


def _seconds(stat: Path) -> float:
    after_name = stat.read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / _TICKS


def threads(pid: int) -> dict[int, float]:
    """Thread id → CPU seconds, for each thread of one process. The main thread's id is the
    process's."""
    seconds = {}
    with suppress(FileNotFoundError, ProcessLookupError):
        for thread in (_PROC / str(pid) / "task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):
                seconds[int(thread.name)] = _seconds(thread / "stat")
    return seconds


def machine() -> Machine:
    user, nice, system, idle, iowait, irq, softirq, steal = (
        int(word) / _TICKS for word in (_PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    busy = user + nice + system + irq + softirq + steal
    return Machine(busy, busy + idle + iowait)


def _family(pid: int) -> list[int]:
    pids = [pid]
    with suppress(FileNotFoundError, ProcessLookupError):
        for thread in (_PROC / str(pid) / "task").iterdir():
            for child in (thread / "children").read_text().split():
                pids += _family(int(child))
    return pids


def _proportional(pid: int) -> int:
    for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0
