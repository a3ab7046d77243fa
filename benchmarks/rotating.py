"""A backlog of log files, and two ways to get it into S3.

Run as a process: `python -m benchmarks.rotating rotate|puts THREADS`, with the EAGLE_ settings of
the volume and the archive; prints one JSON object.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

from eagle_logger import settings as settings_module
from eagle_logger import wiring
from eagle_logger.core import paths
from eagle_logger.core.hours import Hour
from eagle_logger.core.kinds import Kind
from eagle_logger.core.line_format import encode_line
from eagle_logger.core.readings import Reading
from eagle_logger.rotation.parallel import RotationJob, rotate_backlog
from eagle_logger.rotation.rotate_shard import UPLOAD_THREADS
from eagle_logger.settings import Settings

HOUR = Hour.parse("2026-03-10-17")
LINES = 600
"""A demand every six seconds for an hour."""
_MODEL = "ffffff"


def write_backlog(data_dir: Path, user_hours: int) -> int:
    """Log files of so many users for one complete hour, as the fetching workers leave them: synced.
    How many lines."""
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


def rotate(settings: Settings, threads: int) -> int:
    """All of the backlog, in as many processes as make so many threads: how many objects."""
    job = RotationJob(settings, HOUR.end + settings.rotate_grace + 3600 + 1)
    done = [
        one for _, one in rotate_backlog(job, lambda: False, processes=threads // UPLOAD_THREADS)
    ]
    errors = [error for rotated in done for error in rotated.errors.values()]
    if errors:
        raise RuntimeError(f"{len(errors)} users failed: {errors[0]}")
    return sum(rotated.objects for rotated in done)


def puts(settings: Settings, threads: int) -> int:
    """The objects that rotation made, put once more under other keys by a bare loop over
    put_object."""
    import boto3.session  # noqa: PLC0415  (rotation's own figures should not carry it twice)
    from botocore.config import Config  # noqa: PLC0415

    archive = wiring.archive(settings)
    objects = [(key, archive.get(key)) for key in archive.keys()]  # noqa: SIM118  (an archive is no dict)
    secret = settings.aws_secret_access_key
    client = boto3.session.Session(
        settings.aws_access_key_id,
        secret.get_secret_value() if secret else None,
        region_name=settings.aws_region,
    ).client(
        "s3",
        endpoint_url=settings.s3_endpoint_url,
        config=Config(max_pool_connections=threads, s3={"addressing_style": "path"}),
    )
    bucket = settings.archive.removeprefix("s3://").partition("/")[0]

    def put(one: tuple[str, bytes]) -> None:
        client.put_object(Bucket=bucket, Key=f"bare-{threads}/{one[0]}", Body=one[1])

    global _began  # noqa: PLW0603  (reading the objects back is not what is measured)
    _began = (time.monotonic(), _cpu())
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(put, objects))
    return len(objects)


WAYS: dict[str, Callable[[Settings, int], int]] = {"rotate": rotate, "puts": puts}
_began = (0.0, 0.0)


def main(which: str, threads: int) -> dict[str, Any]:
    global _began  # noqa: PLW0603  (`puts` begins later)
    settings = settings_module.load()
    _began = (time.monotonic(), _cpu())
    count = WAYS[which](settings, threads)
    peaks = (
        resource.getrusage(who).ru_maxrss * 1024
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return {
        "count": count,
        "seconds": time.monotonic() - _began[0],
        "cpu": _cpu() - _began[1],
        "peak_rss": max(peaks),
    }


def _cpu() -> float:
    """Of this process and of those it has started and seen the end of."""
    return sum(os.times()[:4])


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]))))
