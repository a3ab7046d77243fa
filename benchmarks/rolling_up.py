"""A day of many homes as rotation leaves it, a process that makes its day table, and a query over
both.

Run it as `python -m benchmarks.rolling_up`, with the EAGLE_ settings of the archive: it makes the
table of the day and prints one JSON object.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
import resource
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from decimal import Decimal
from itertools import repeat
from pathlib import Path
from typing import Any

from benchmarks.figures import Row, chore
from benchmarks.ours import ours
from benchmarks.stage import Relay, Stage, run
from eagle_logger import settings as settings_module
from eagle_logger import wiring
from eagle_logger.archive.directory import DirectoryArchive
from eagle_logger.core.archive_index import EncodedIndexPart, IndexEntry, IndexHead, IndexPart
from eagle_logger.core.hours import Hour, iso
from eagle_logger.core.paths import IndexKey, archive_key
from eagle_logger.core.table_names import Day

DAY = Day("2026-03-10")
NODE = "0123456789ab"
DEMAND_EVERY_S, SUMMATION_EVERY_S, PRICE_EVERY_S = 9, 240, 900
"""About 9 900 lines a home and day, as a real home asked every six seconds has: its meter shows a
new demand every eight to ten."""
_OBJECTS = "cloud_id=*/date=*/*.jsonl.gz"
_TABLES = "parquet/v=1/date=*/*.parquet"
_COLUMNS = "{cloud_id: 'VARCHAR', kind: 'VARCHAR', time: 'TIMESTAMPTZ', value: 'DECIMAL(18, 6)'}"
_QUERY = """SELECT cloud_id, count(*), sum(value), max(value) FROM {source}
WHERE kind = 'demand' GROUP BY ALL ORDER BY ALL"""


def day_tables(
    stage: Stage, relay: Relay, table_homes: int, *, homes: int, seconds: float, workers: int
) -> tuple[list[Row], list[dict[str, Any]]]:
    """Make the table of a day of `table_homes` while the system fetches `homes`, then ask DuckDB
    the same of its objects and of its table. Returns the system's row, and the chores."""
    with stage.processes("tables") as processes:
        data = processes.directory
        archive = data / "archive"
        rows = write_day(archive, table_homes)
        command = [sys.executable, "-m", "benchmarks.rolling_up"]
        with ThreadPoolExecutor(1) as pool:
            rolling = pool.submit(run, command, {"EAGLE_DATA_DIR": str(data)})
            name = f"ours, {homes} homes, beside day tables"
            fetching = ours(stage, relay, name, homes=homes, seconds=seconds, workers=workers)
            _, _, printed = rolling.result()
        made = json.loads(printed)
        assert made["rows"] == rows
        objects_bytes = sum(path.stat().st_size for path in archive.glob(_OBJECTS))
        note = (
            f"{made['cpu'] / rows * 1e6:.1f} CPU us a row, peak {made['peak_rss'] / 1e6:.0f} MB, "
            f"{made['bytes'] / rows:.2f} bytes a row (the objects: {objects_bytes / rows:.1f})"
        )
        rolled = chore(
            f"day table of {table_homes} homes", made["seconds"], made["cpu"], rows, note
        )
        gaps = chore(
            "its gaps", made["gaps_seconds"], made["gaps_cpu"], rows, "rows read of the day table"
        )
        return [fetching], [rolled, gaps, *_queries(archive, rows)]


def write_day(archive: Path, homes: int) -> int:
    """Write the objects of a day, and its index, without the syncs of a real archive. Returns the
    number of lines."""
    indexed = DirectoryArchive(archive)
    rows = 0
    with ProcessPoolExecutor() as pool:
        for hour in DAY.hours:
            numbers = range(homes)
            written = pool.map(_write_hour, repeat(archive), repeat(hour), numbers, chunksize=50)
            entries = tuple(sorted(written))
            rows += sum(entry.rows for entry in entries)
            head = IndexHead(IndexKey(hour, NODE, 0), len(entries), waiting=0, complete=True)
            encoded = EncodedIndexPart.of(IndexPart(head, entries))
            indexed.put(head.name.key, encoded.body, encoded.metadata)
    return rows


def _write_hour(archive: Path, hour: Hour, number: int) -> IndexEntry:
    cloud_id = f"{number * 0x9E3779 % 2**24:06x}"
    lines = sorted(_lines(cloud_id, hour, number))
    plain = "".join(line for _, line in lines).encode()
    body = gzip.compress(plain, 6, mtime=0)
    key = archive_key(cloud_id, hour)
    path = archive / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    return IndexEntry(
        key,
        len(lines),
        lines[0][0],
        lines[-1][0],
        len(body),
        hashlib.sha256(plain).hexdigest(),
        hashlib.sha256(body).hexdigest(),
    )


def _lines(cloud_id: str, hour: Hour, number: int) -> Iterator[tuple[int, str]]:
    """A home whose demand wanders as a real one's does: by some watts, now and then by much."""
    chance = random.Random(f"{cloud_id} {hour}")
    meter = f"0x00135001{number:08x}"
    watts, counter = chance.randrange(100, 3000), 10_000_000 + number * 997 + hour.start % 86400

    def line(offset: int, kind: str, values: str, raw: str) -> tuple[int, str]:
        time_ = hour.start + offset
        arrived = iso(time_ + 1 + chance.random() * 6, milliseconds=True)
        return time_, (
            f'{{"v":1,"cloud_id":"{cloud_id}","device":"0xd8d5b9{number:010x}","meter":"{meter}",'
            f'"kind":"{kind}","time":"{iso(time_)}","arrived":"{arrived}",{values},'
            f'"raw":{{"TimeStamp":"0x{time_ - 946684800:08x}",{raw}}},"flags":[]}}\n'
        )

    scale = '"Multiplier":"0x00000001","Divisor":"0x000003e8"'
    for offset in range(number % 9, 3600, DEMAND_EVERY_S):
        watts = max(20, watts + (chance.randrange(-15, 16) if offset % 7 else 200 - watts // 3))
        values = f'"value":{_text(watts)},"unit":"kW"'
        yield line(offset, "demand", values, f'"Demand":"0x{watts:06x}",{scale}')
    for offset in range(number % 240, 3600, SUMMATION_EVERY_S):
        now = counter + offset // 6
        values = f'"delivered":{_text(now)},"received":0.0,"unit":"kWh"'
        yield line(offset, "summation", values, f'"SummationDelivered":"0x{now:012x}",{scale}')
    for offset in range(number % 900, 3600, PRICE_EVERY_S):
        values = '"price":0.125,"currency":"USD","unit":"USD/kWh","tier":1,"label":"Peak"'
        yield line(offset, "price", values, '"Price":"0x0000007d","TrailingDigits":"0x03"')


def _text(thousandths: int) -> str:
    text = str(Decimal(thousandths) / 1000)
    return text if "." in text else f"{text}.0"


def _queries(archive: Path, rows: int) -> list[dict[str, Any]]:
    import duckdb  # noqa: PLC0415  (the process that makes the table should not carry it)

    sources = {
        "its objects": f"read_json('{archive / _OBJECTS}', format = 'newline_delimited', "
        f"columns = {_COLUMNS})",
        "its table": f"read_parquet('{archive / _TABLES}')",
    }
    chores, answers = [], []
    for name, source in sources.items():
        with duckdb.connect() as connection:
            began, cpu = time.monotonic(), sum(os.times()[:2])
            answers.append(connection.execute(_QUERY.format(source=source)).fetchall())
            seconds = time.monotonic() - began
            cpu = sum(os.times()[:2]) - cpu
        chores.append(chore(f"DuckDB over {name}", seconds, cpu, rows, "sum and maximum of a day"))
    assert answers[0] == answers[1]
    chores[-1]["note"] += f": {chores[0]['seconds'] / chores[1]['seconds']:.0f} times faster"
    return chores


def roll_up() -> dict[str, Any]:
    """Make the tables of the day, as the task does."""
    settings = settings_module.load()
    tables = wiring.day_tables(settings)
    began, cpu = time.monotonic(), sum(os.times()[:4])
    # As if the day were not over: the gaps are measured on their own.
    results = [tables.build(DAY, bucket, DAY.start) for bucket in tables.buckets(DAY, DAY.start)]
    if any(result.refused or result.problems for result in results):
        raise RuntimeError(str(results))
    rolled, rolled_cpu = time.monotonic(), sum(os.times()[:4])
    gap_files = sum(tables.build(DAY, bucket).gap_files for bucket in tables.buckets(DAY))
    return {
        "rows": sum(result.rows for result in results),
        "bytes": sum(result.bytes for result in results),
        "seconds": rolled - began,
        "cpu": rolled_cpu - cpu,
        "gap_files": gap_files,
        "gaps_seconds": time.monotonic() - rolled,
        "gaps_cpu": sum(os.times()[:4]) - rolled_cpu,
        "peak_rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


if __name__ == "__main__":
    print(json.dumps(roll_up()))
