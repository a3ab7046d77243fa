from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from freezegun import freeze_time

from eagle_logger.cli.decode import decode
from tests.unit.rainforest.decoding.quirks.quirk import (
    WHOLE,
    Quirk,
    demand,
    message,
    outcome,
    price,
    summation,
)
from tests.unit.rainforest.decoding.quirks.spellings import JSON

_PRICE = (
    "StartTime=0xffffffff",
    "Duration=0xffff",
    "Price=0x19",
    "Currency=0x0348",
    "TrailingDigits=0x02",
    "Tier=0x01",
)


def run(body: bytes, *options: str) -> Result:
    return CliRunner().invoke(decode, options, input=body)


@freeze_time("2015-03-10T17:54:05.250Z", ignore=["hypothesis"])
def test_a_reading_is_shown_as_it_would_be_logged() -> None:
    result = run(WHOLE, "--cloud-id", "00CE69")
    assert result.exit_code == 0
    line = json.loads(result.stdout, parse_float=Decimal)
    assert line["kind"] == "demand"
    assert line["cloud_id"] == "00ce69"
    assert line["value"] == Decimal("0.944")
    assert line["arrived"] == "2015-03-10T17:54:05.250Z"
    assert line["flags"] == []
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("now", "flags"), [("2015-03-12", ["long_past"]), ("2015-03-10", ["future"])]
)
def test_a_time_far_from_now_is_flagged(now: str, flags: list[str]) -> None:
    with freeze_time(now):
        assert json.loads(run(WHOLE).stdout)["flags"] == flags


@pytest.mark.parametrize(
    "body", [price(*_PRICE, time="0xffffffff"), summation("SummationDelivered=0x3e8", time="")]
)
@freeze_time("2015-03-10T17:54:05.250Z", ignore=["hypothesis"])
def test_a_reading_without_a_time_is_shown_under_its_arrival(body: bytes) -> None:
    result = run(body)
    line = json.loads(result.stdout)
    assert (result.exit_code, result.stderr) == (0, "")
    assert (line["time"], line["flags"]) == ("2015-03-10T17:54:05Z", ["filed_by_arrival"])


def test_a_reply_that_no_message_waits_is_no_problem() -> None:
    result = run(message("Id=0x00000000", "Read=Y", "Queue=active", time="0x00000000"))
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no reading in it\n")


def test_problems_go_to_standard_error() -> None:
    result = run(WHOLE + b"<InstantaneousDemand><Dem")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 1
    assert "truncated: InstantaneousDemand has no end of its own" in result.stderr


@pytest.mark.parametrize(
    "body",
    [
        b"<NetworkInfo><InstallCode>0x0123456789abcdef</InstallCode></NetworkInfo>",
        b"<ScheduleInfo><Event>demand</Event></ScheduleInfo>",
        demand("Demand=0x800000"),
        demand("Demand=0x0003b0", time="0xffffffff"),
        price("Price=0xffffffff", "TrailingDigits=0x02"),
        demand("Demand=0x" + "0" * 17),
        demand("Demand=0xzz"),
        demand("Demand=0x1", "Demand=0x2"),
    ],
)
def test_a_known_notification_without_a_reading_exits_with_0(body: bytes) -> None:
    result = run(body)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "0123456789abcdef" not in result.output


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" \r\n",
        b"Request Timeout",
        b"<Error>Service Unavailable</Error>",
        b"<FancyNewThing/>",
        b"<html><body>Welcome</body></html>",
        WHOLE[:-3],
        b"\x00\xff" * 600_000,
    ],
    ids=["nothing", "blanks", "text", "error", "unknown", "html", "truncated", "too large"],
)
def test_an_unknown_or_damaged_reply_exits_with_1(body: bytes) -> None:
    result = run(body)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.strip()
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "quirk",
    [quirk for quirk in JSON if "known" not in quirk.comes_out[0]],
    ids=lambda quirk: quirk.title,
)
def test_the_exit_code_follows_the_table_of_quirks(quirk: Quirk) -> None:
    assert run(quirk.body).exit_code == (1 if outcome(quirk) == ("unreadable",) else 0)


def test_a_reply_cannot_steer_the_terminal() -> None:
    reply = b"<Fancy\x1b]0;New>\x1b[2J\x9b2J\r\n</Fancy>"
    printed = CliRunner().invoke(decode, input=reply, color=True).stderr
    assert "unknown_root" in printed
    codes = [ord(character) for character in printed if character not in "\r\n"]
    assert not any(code < 32 or 127 <= code < 160 for code in codes)


def test_a_reply_can_be_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "reply.xml"
    file.write_bytes(WHOLE)
    assert run(b"", str(file)).exit_code == 0


def test_a_malformed_cloud_id_is_refused() -> None:
    assert "hex digits" in str(run(WHOLE, "--cloud-id", "x").exception)
