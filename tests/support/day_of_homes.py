"""An archive with a day of several homes, as rotation leaves it, and its index."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from eagle_logger.archive.archive import Archive
from eagle_logger.core.archive_index import EncodedIndexPart, IndexEntry, IndexHead, IndexPart
from eagle_logger.core.hours import Hour
from eagle_logger.core.kinds import Kind
from eagle_logger.core.line_format import encode_line
from eagle_logger.core.paths import IndexKey, archive_key
from eagle_logger.core.readings import Reading, Value
from eagle_logger.core.sealing import PartContent
from eagle_logger.core.table_names import Day
from tests.support.log_lines import DEVICE, METER

DAY = Day("2026-03-10")
NODE = "0123456789ab"
HOMES = ("00ce69", "002738", "1e5123")


def line(
    cloud_id: str, time: int, kind: Kind = Kind.DEMAND, *, device: str = DEVICE, **values: Value
) -> bytes:
    """The line, with newline, of a reading with these values."""
    raw = {"TimeStamp": f"0x{time - 946684800:x}", "Multiplier": "0x1"}
    reading = Reading(device, METER, kind, time, values, raw)
    return encode_line(cloud_id, reading, time + 2.5)


def hour_of_home(cloud_id: str, hour: Hour, every: int = 600) -> bytes:
    """An hour of demands, with a summation, a price and a message."""
    seed = int(cloud_id, 16) + hour.start
    lines: list[bytes] = [
        line(
            cloud_id,
            hour.start + offset,
            value=Decimal((seed + offset) % 9000 - 500) / 1000,
            unit="kW",
        )
        for offset in range(0, 3600, every)
    ]
    number = Decimal(seed % 10**9)
    lines += [
        line(
            cloud_id,
            hour.start + 7,
            Kind.SUMMATION,
            delivered=number / 1000,
            received=None if seed % 7 else Decimal(0),
            unit="kWh",
        ),
        line(
            cloud_id,
            hour.start + 8,
            Kind.PRICE,
            price=Decimal("0.123456789"),
            currency="USD",
            unit="USD/kWh",
            tier=2,
            label="Peak",
        ),
        line(
            cloud_id,
            hour.start + 9,
            Kind.MESSAGE,
            id=None,
            text='Save "power" - €\n',
            priority="high",
            confirmation_required=True,
            confirmed=None,
            read=False,
            queue="Active",
        ),
    ]
    lines.sort(key=_time_of)
    return b"".join(lines)


def _time_of(text: bytes) -> bytes:
    return text[text.index(b'"time"') :][:30]


def put_part(
    archive: Archive, cloud_id: str, hour: Hour, plain: bytes, part: int = 0
) -> IndexEntry:
    """Put one part as rotation does, and return what the index should say of it."""
    content = PartContent(plain, cloud_id).part({})
    body = content.compressed()
    key = archive_key(cloud_id, hour, part)
    archive.put(key, body, content.metadata(body))
    return IndexEntry.from_metadata(key, len(body), content.metadata(body))


def put_index(
    archive: Archive,
    hour: Hour,
    entries: Iterable[IndexEntry],
    *,
    number: int = 0,
    node: str = NODE,
    complete: bool = True,
) -> None:
    entries = tuple(sorted(entries))
    head = IndexHead(IndexKey(hour, node, number), len(entries), waiting=0, complete=complete)
    encoded = EncodedIndexPart.of(IndexPart(head, entries))
    archive.put(head.name.key, encoded.body, encoded.metadata)


def put_day(
    archive: Archive,
    homes: Iterable[str] = HOMES,
    day: Day = DAY,
    *,
    every: int = 600,
    hours: int = 24,
) -> None:
    """Put the first hours of a day of each home, and their index."""
    for hour in day.hours[:hours]:
        put_index(
            archive,
            hour,
            [put_part(archive, home, hour, hour_of_home(home, hour, every)) for home in homes],
        )
