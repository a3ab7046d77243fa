"""A backlog of log files, and two ways to get it into S3.

Run as a process: `python -m benchmarks.rotating rotate|puts`, with the EAGLE_ settings of the volume and the archive; prints
one JSON object.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

from eagle_logger import settings as settings_module
from eagle_logger import wiring
from eagle_logger.core import names
from eagle_logger.core.hours import Hour
from eagle_logger.core.lines import encode_line
from eagle_logger.core.readings import Kind, Reading
from eagle_logger.rotation import UPLOADS, Rotated, plan, rotate_shard
from eagle_logger.settings import Settings

HOUR = Hour.parse("2026-03-10-17")
LINES = 600
"""A demand every six seconds for an hour."""
THREADS = 4
"""Shards at once, as the rotator's; each works on UPLOADS users at once."""
_MODEL = "ffffff"


def write_backlog(data_dir: Path, user_hours: int) -> int:
    """Log files of so many users for one complete hour, as the fetching workers leave them. How many lines."""
    model = b"".join(_line(number) for number in range(LINES))
    for number in range(user_hours):
        cloud_id = f"{number:06x}"
        path = data_dir / "logs" / names.log_file(cloud_id, HOUR, names.DEFAULT_SHARDS)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(model.replace(_MODEL.encode(), cloud_id.encode()))
    return user_hours * LINES


def _line(number: int) -> bytes:
    time_, value = HOUR.start + 6 * number, Decimal(500 + number * 37 % 2900) / 1000
    raw = {"TimeStamp": f"0x{time_ - 946684800:08x}", "Demand": f"0x{int(value * 1000):06x}", "Multiplier": "0x1"}
    reading = Reading(
        "0xd8d5b9000000abcd",
        "0x0013500100000001",
        Kind.DEMAND,
        time_,
        {"value": value, "unit": "kW"},
        {**raw, "Divisor": "0x3e8"},
    )
    return encode_line(_MODEL, reading, time_ + 4.25)


def rotate(settings: Settings) -> tuple[int, int]:
    """All of the backlog: how many objects, and with how many threads."""
    folder, archive = wiring.log_folder(settings), wiring.archive(settings)
    now = HOUR.end + settings.rotate_grace + 3600 + 1
    grace, retention = settings.rotate_grace, settings.local_retention

    def one(hour: Hour, shard: str) -> Rotated:
        return rotate_shard(folder, archive, hour, shard, now, grace=grace, retention=retention)

    with ThreadPoolExecutor(THREADS) as threads:
        results = list(threads.map(lambda work: one(*work), plan(folder, now, grace=grace, retention=retention)))
    errors = [error for rotated in results for error in rotated.errors.values()]
    if errors:
        raise RuntimeError(f"{len(errors)} users failed: {errors[0]}")
    return sum(rotated.objects for rotated in results), THREADS * UPLOADS


def puts(settings: Settings) -> tuple[int, int]:
    """The objects that rotation made, put once more under other keys by a bare loop over put_object."""
    import boto3.session  # noqa: PLC0415  (rotation's own figures should not carry it twice)
    from botocore.config import Config  # noqa: PLC0415

    archive = wiring.archive(settings)
    objects = [(key, archive.get(key)) for key in archive.keys()]  # noqa: SIM118  (an archive is no dict)
    secret = settings.aws_secret_access_key
    client = boto3.session.Session(
        settings.aws_access_key_id, secret.get_secret_value() if secret else None, region_name=settings.aws_region
    ).client(
        "s3",
        endpoint_url=settings.s3_endpoint_url,
        config=Config(max_pool_connections=THREADS * UPLOADS, s3={"addressing_style": "path"}),
    )
    bucket = settings.archive.removeprefix("s3://").partition("/")[0]

    def put(one: tuple[str, bytes]) -> None:
        client.put_object(Bucket=bucket, Key=f"bare/{one[0]}", Body=one[1])

    global _began  # noqa: PLW0603  (reading the objects back is not what is measured)
    _began = (time.monotonic(), time.process_time())
    with ThreadPoolExecutor(THREADS * UPLOADS) as threads:
        list(threads.map(put, objects))
    return len(objects), THREADS * UPLOADS


WAYS: dict[str, Callable[[Settings], tuple[int, int]]] = {"rotate": rotate, "puts": puts}
_began = (0.0, 0.0)


def main(which: str) -> dict[str, Any]:
    global _began  # noqa: PLW0603  (`puts` begins later)
    settings = settings_module.load()
    _began = (time.monotonic(), time.process_time())
    count, threads = WAYS[which](settings)
    return {
        "count": count,
        "threads": threads,
        "seconds": time.monotonic() - _began[0],
        "cpu": time.process_time() - _began[1],
        "peak_rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


if __name__ == "__main__":
    print(json.dumps(main(*islice(sys.argv, 1, None))))
