"""`eagle-logger energy`, over log files and an archive."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from eagle_logger.archive.directory import DirectoryArchive
from eagle_logger.core.hours import Hour, iso
from eagle_logger.core.kinds import Kind
from eagle_logger.core.line_format import encode_line
from eagle_logger.core.readings import Reading
from eagle_logger.errors import UnknownUser
from tests.integration.cli.commands import Cli
from tests.support.log_lines import CLOUD_ID, DEVICE, METER
from tests.support.rotating import Disk

FIRST = Hour.parse("2026-03-28-22")  # the clocks of Berlin change in the night of the 29th
HOURS = [Hour(FIRST.start + 3600 * number) for number in range(27)]


def lines_of(hour: Hour) -> bytes:
    """2 kW, so 2 kWh an hour: a demand every three minutes, a summation every six."""
    lines = b""
    for second in range(hour.start, hour.end, 180):
        taken = Decimal(second - FIRST.start) * 2 / 3600
        lines += line(Kind.DEMAND, second, value=Decimal(2), unit="kW")
        if second % 360 == 0:
            registers = {"delivered": 100 + taken, "received": Decimal(0)}
            lines += line(Kind.SUMMATION, second, **registers, unit="kWh")
    return lines


def line(kind: Kind, second: int, **values: Decimal | str) -> bytes:
    return encode_line(CLOUD_ID, Reading(DEVICE, METER, kind, second, values, {}), second + 1.0)


@pytest.fixture
def home(tmp_path: Path, settings_of_test: None) -> None:
    """A home with a constant load; all but the last hour lies in the archive alone."""
    disk = Disk(tmp_path / "data" / "logs")
    archive = DirectoryArchive(tmp_path / "data" / "archive")
    for hour in HOURS:
        disk.append(lines_of(hour), hour=hour)
    disk.rotate(archive, HOURS[-1].start + 601)
    for hour in HOURS[:-1]:
        for sealed in disk.folder.sealed_files(hour, "07"):
            disk.folder.remove(sealed)


def test_a_day_on_which_the_clocks_change_has_23_hours(cli: Cli, home: None) -> None:
    since = ("--since", "2026-03-29T12:00Z", "--until", "2026-03-29T13:00Z")
    shown = cli("energy", CLOUD_ID, *since, "--zone", "Europe/Berlin", "--json")
    [row] = [json.loads(line, parse_float=Decimal) for line in shown.stdout.splitlines()]
    assert (row["period"], row["hours"]) == ("2026-03-29T00:00+01:00", 23)
    # From the last summation before midnight to the last one of the day.
    assert (row["begin"], row["end"]) == ("2026-03-28T22:54:00Z", "2026-03-29T21:54:00Z")
    assert (row["delivered"], row["received"]) == (46, 0)
    assert (row["demand"], row["difference"], row["flags"]) == (46, 0, [])


def test_hours_are_shown_from_the_one_that_since_lies_in(cli: Cli, home: None) -> None:
    period = ("--since", iso(HOURS[2].start + 60), "--until", iso(HOURS[4].start))
    shown = cli("energy", CLOUD_ID, *period, "--by", "hour")
    rows = [line.split("\t") for line in shown.stdout.splitlines()]
    assert [row[0] for row in rows] == [
        "2026-03-29T00:00+00:00",
        "2026-03-29T01:00+00:00",
        "2026-03-29T02:00+00:00",
    ]
    assert [Decimal(row[3]) for row in rows] == [2, 2, 2]


def test_a_home_that_never_had_a_reading_is_unknown(cli: Cli, home: None) -> None:
    cli("energy", "abcdef", fails=UnknownUser)


def test_a_zone_that_is_none_is_a_usage_error(cli: Cli, home: None) -> None:
    shown = cli("energy", CLOUD_ID, "--zone", "Europe/Nowhere", fails=SystemExit)
    assert shown.exit_code == 2
    assert "IANA" in shown.output
