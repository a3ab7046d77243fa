"""The view of energy in the docs counts what the command counts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any

import duckdb
import pytest

from eagle_logger.core.energy import EnergyFlag, HomeEnergy, in_order
from eagle_logger.core.kinds import Kind
from eagle_logger.core.line_format import ParsedLine, encode_line, parse_line
from eagle_logger.core.local_time import Span
from eagle_logger.core.readings import Flag, Reading
from tests.support.log_lines import DEVICE, METER
from tests.support.pages import Page

HOMES = ("002738", "00ce69")
OTHER_METER = "0x0013500100000002"
BEGIN = int(datetime(2026, 3, 10, tzinfo=UTC).timestamp())
_Key = tuple[str, str, datetime]
_Counted = tuple[Decimal, Decimal, bool, bool, datetime, datetime]


def view() -> str:
    with Page("docs/how-to/energy-and-gaps.md", "sql") as page:
        return page.next("CREATE VIEW energy")


def lines_of(home: str, chance: Random) -> Iterator[ParsedLine]:
    """Two days with holes, a reset, an exchange of the meter, and readings that do not count."""
    at, delivered, received = BEGIN, Decimal(chance.randrange(10**6)).scaleb(-3), Decimal(0)
    for number in range(300):
        at += chance.choice([240, 240, 241, 600, 4000 if number % 50 == 0 else 240])
        delivered += Decimal(chance.randrange(500)).scaleb(-6)
        received += Decimal(chance.randrange(100)).scaleb(-3)
        if number in {150, 220}:
            delivered = Decimal("0.1")
        flags = {
            40: {Flag.CONFLICT},
            41: {Flag.FUTURE},
            42: {Flag.BACKWARDS},
            60: {Flag.FILED_BY_ARRIVAL},
        }.get(number, set())
        reading = Reading(
            DEVICE,
            METER if number < 220 else OTHER_METER,
            Kind.SUMMATION,
            at if Flag.FILED_BY_ARRIVAL not in flags else at - 86400 * 9,
            {"delivered": delivered, "received": received, "unit": "kWh"},
            {},
            frozenset(flags),
        )
        yield parse_line(encode_line(home, reading, float(at)).rstrip())


def by_the_command(home: str, lines: list[ParsedLine]) -> dict[_Key, _Counted]:
    energy = HomeEnergy(Span.HOUR, UTC)
    rows = [energy.add(moment, line) for moment, line in in_order(lines)]
    return {
        (home, row.meter, _moment(row.period.start).replace(tzinfo=None)): (
            row.delivered or Decimal(0),
            row.received or Decimal(0),
            EnergyFlag.RESET in row.flags,
            EnergyFlag.GAP in row.flags,
            _moment(row.begin),
            _moment(row.end),
        )
        for row in [*rows, *energy.finish(4e9)]
        if row is not None
    }


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@pytest.mark.parametrize("seed", range(3))
def test_the_view_counts_what_the_command_counts(seed: int) -> None:
    chance = Random(seed)
    database: Any = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    database.execute(
        "CREATE TABLE readings (cloud_id VARCHAR, meter VARCHAR, kind VARCHAR, time TIMESTAMPTZ, "
        "arrived TIMESTAMPTZ, delivered DECIMAL(18, 6), received DECIMAL(18, 6), flags VARCHAR[])"
    )
    expected: dict[_Key, _Counted] = {}
    for home in HOMES:
        lines = list(lines_of(home, chance))
        expected |= by_the_command(home, lines)
        for line in lines:
            database.execute(
                "INSERT INTO readings VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    home,
                    line.identity.meter,
                    str(line.identity.kind),
                    _moment(line.time),
                    _moment(line.arrived),
                    line.data["delivered"],
                    line.data["received"],
                    sorted(map(str, line.flags)),
                ],
            )
    database.execute(view())
    rows = database.execute(
        'SELECT cloud_id, meter, hour, taken, given, reset, gap, "begin", "end" FROM energy'
    ).fetchall()
    assert len(expected) > 2 * 24
    assert any(row[2] for row in expected.values())
    assert {tuple(row[:3]): tuple(row[3:]) for row in rows} == expected
