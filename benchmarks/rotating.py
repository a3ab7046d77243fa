"""A backlog of log files, and a process that archives it.

Run it as `python -m benchmarks.rotating PROCESSES`, with the EAGLE_ settings of the volume and the
archive. It prints one JSON object.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from eagle_logger import settings as settings_module
from eagle_logger.core import paths
from eagle_logger.core.hours import Hour
from eagle_logger.core.kinds import Kind
from eagle_logger.core.line_format import encode_line
from eagle_logger.core.readings import Reading
from eagle_logger.rotation.parallel import RotationJob, rotate_backlog

HOUR = Hour.parse("2026-03-10-17")
LINES = 600
"""A demand every six seconds for an hour."""
_MODEL = "ffffff"


def write_backlog(data_dir: Path, user_hours: int) -> int:
    """Write log files of this many users for one complete hour, and sync them, as the fetching
    workers do. Returns the number of lines."""
    model = b"".join(_line(number) for number in range(LINES))
    for number in range(user_hours):
        cloud_id = f"{number:06x}"
        path = data_dir / "logs" / paths.log_file(cloud_id, HOUR, paths.DEFAULT_SHARDS)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(model.replace(_MODEL.encode(), cloud_id.encode()))
    os.sync()
    return user_hours * LINES


def _line(number: int) -> bytes:
    time_, value = HOUR.start + 6 * number, Decimal(500 + number * 37 % 2900) / 1000
    raw = {
        "TimeStamp": f"0x{time_ - 946684800:08x}",
        "Demand": f"0x{int(value * 1000):06x}",
        "Multiplier": "0x1",
    }
    reading = Reading(
        "0xd8d5b9000000abcd",
        "0x0013500100000001",
        Kind.DEMAND,
        time_,
        {"value": value, "unit": "kW"},
        {**raw, "Divisor": "0x3e8"},
    )
    return encode_line(_MODEL, reading, time_ + 4.25)


def rotate(processes: int) -> dict[str, Any]:
    """Archive the whole backlog in so many processes."""
    settings = settings_module.load()
    started, cpu_before = time.monotonic(), _cpu_seconds()
    job = RotationJob(settings, HOUR.end + settings.rotate_grace + 3600 + 1)
    results = [result for _, result in rotate_backlog(job, lambda: False, processes=processes)]
    errors = [error for result in results for error in result.errors.values()]
    if errors:
        raise RuntimeError(f"{len(errors)} users failed: {errors[0]}")
    peaks = (
        resource.getrusage(who).ru_maxrss * 1024
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return {
        "count": sum(result.objects for result in results),
        "seconds": time.monotonic() - started,
        "cpu": _cpu_seconds() - cpu_before,
        "peak_rss": max(peaks),
    }


def _cpu_seconds() -> float:
    """The CPU of this process, and of those that it started and that have ended."""
    return sum(os.times()[:4])


if __name__ == "__main__":
    print(json.dumps(rotate(int(sys.argv[1]))))
