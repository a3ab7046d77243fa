"""`eagle-logger read`: what it writes to a pipe and to a terminal, and its bounds."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest

from eagle_logger.core.hours import SECONDS_PER_HOUR, Hour
from eagle_logger.core.kinds import Kind
from eagle_logger.core.line_format import encode_line
from eagle_logger.core.readings import Flag, Reading
from eagle_logger.logs.writer import LogWriter
from tests.integration.cli.commands import COMMAND
from tests.support.log_lines import DEVICE, HOUR, METER, demand
from tests.support.programs import environment_with

USER = "002738"
NEXT_HOUR = Hour(HOUR.start + SECONDS_PER_HOUR)


def reading(kind: Kind, offset: int, *flags: Flag, **values: Decimal | str | None) -> bytes:
    time = HOUR.start + offset
    return encode_line(USER, Reading(DEVICE, METER, kind, time, values, {}, frozenset(flags)), time)


LINES = [
    demand(1, "0.944"),
    reading(
        Kind.SUMMATION, 2, Flag.BACKWARDS, delivered=Decimal("22304.65"), received=None, unit="kWh"
    ),
    reading(Kind.PRICE, 3, price=Decimal("0.12"), currency="USD", unit="USD/kWh", label="Peak"),
    reading(Kind.MESSAGE, 4, id="7", text="Save\n\x1b[2J now"),
]
LATE = demand(5, 2, hour=NEXT_HOUR)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A log volume that holds the lines."""
    root = tmp_path / "data" / "logs"
    append(root, HOUR, LINES)
    append(root, NEXT_HOUR, [LATE])
    return root


def append(root: Path, hour: Hour, lines: list[bytes]) -> None:
    writer = LogWriter(root, shards=16, max_open=4, min_free_disk=0)
    writer.append({(USER, hour): lines})
    writer.close()


def command(root: Path, *arguments: str) -> list[str]:
    return [*COMMAND, "read", "--data", str(root.parent), *arguments]


def read(root: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command, without any key."""
    return subprocess.run(
        command(root, *arguments),
        capture_output=True,
        check=False,
        env=environment_with(),
        timeout=60,
    )


def test_json_output_consists_of_the_log_lines(root: Path) -> None:
    done = read(root, USER.upper(), "--json")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == b"".join([*LINES, LATE])


def test_a_pipe_gets_plain_lines(root: Path) -> None:
    done = read(root, USER)
    assert (done.returncode, done.stderr) == (0, b"")
    assert [line.split("\t") for line in done.stdout.decode().splitlines()] == [
        ["2026-03-10T17:00:01Z", "demand", "0.944 kW", METER, ""],
        ["2026-03-10T17:00:02Z", "summation", "22304.65 in, - out kWh", METER, "backwards"],
        ["2026-03-10T17:00:03Z", "price", "0.12 USD/kWh Peak", METER, ""],
        ["2026-03-10T17:00:04Z", "message", "Save \N{REPLACEMENT CHARACTER}[2J now", METER, ""],
        ["2026-03-10T18:00:05Z", "demand", "2 kW", METER, ""],
    ]


def shown_on_a_terminal(root: Path, *arguments: str) -> bytes:
    screen, terminal = pty.openpty()
    with subprocess.Popen(
        command(root, *arguments),
        stdout=terminal,
        stderr=subprocess.PIPE,
        env=environment_with(TERM="xterm"),
    ) as process:
        os.close(terminal)
        shown = b""
        while chunk := _read_chunk(screen):
            shown += chunk
        assert process.wait(60) == 0
    os.close(screen)
    return shown


def _read_chunk(fd: int) -> bytes:
    try:
        return os.read(fd, 65536)
    except OSError:  # a Linux terminal says so that its other end is closed
        return b""


def test_a_terminal_gets_a_table(root: Path) -> None:
    lines = shown_on_a_terminal(root, USER).decode().splitlines()
    assert "time (UTC)" in lines[0]
    assert lines[1].startswith("2026-03-10T17:00:01Z  demand     0.944 kW  ")
    assert len(lines) == 6


def test_json_on_a_terminal_has_no_control_characters(root: Path) -> None:
    text = "a\x9b2J\x85\u2028\u202eb é"
    append(root, NEXT_HOUR, [reading(Kind.MESSAGE, 3700, id="8", text=text)])
    shown = shown_on_a_terminal(root, USER, "--json", "--last", "1").decode()
    assert not set(shown) & set("\x9b\x85\u2028\u202e")
    assert json.loads(shown)["text"] == text
    assert "é" in shown


@pytest.mark.parametrize(
    ("count", "expected"), [(1, [LATE]), (3, [*LINES[-2:], LATE]), (99, [*LINES, LATE])]
)
def test_last_shows_only_the_newest_readings(root: Path, count: int, expected: list[bytes]) -> None:
    assert read(root, USER, "--json", "--last", str(count)).stdout == b"".join(expected)
    before = read(root, USER, "--json", "--last", str(count), "--until", "2026-03-10T18:00").stdout
    assert before == b"".join(LINES[-count:])


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        (("--since", "2026-03-10T17:00:03Z"), [*LINES[2:], LATE]),
        (("--until", "2026-03-10T17:00:03Z"), LINES[:2]),
        (("--since", f"{HOUR.start + 2}", "--until", f"{HOUR.start + 4}"), LINES[1:3]),
        (("--since", "2026-03-10T18:00"), [LATE]),
        (("--since", "2026-03-11"), []),
        (("--since", "9999w"), [*LINES, LATE]),
    ],
)
def test_since_and_until_choose_readings(
    root: Path, bounds: tuple[str, ...], expected: list[bytes]
) -> None:
    done = read(root, USER, "--json", *bounds)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == b"".join(expected)


def test_unreadable_lines_are_counted_on_standard_error(root: Path) -> None:
    append(root, HOUR, [b"nonsense\n"])
    done = read(root, USER, "--json")
    assert done.returncode == 0
    assert done.stdout == b"".join([*LINES, LATE])
    assert done.stderr == b"1 line could not be read and was left out\n"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("00ce69",), 1, "Nothing was ever logged for 00ce69"),
        (("00ce6",), 1, "'00ce6' is not a cloud id"),
        ((USER, "--since", "someday"), 2, "'someday' is no moment"),
    ],
)
def test_a_mistake_is_reported_in_one_line(
    root: Path, arguments: tuple[str, ...], status: int, message: str
) -> None:
    done = read(root, *arguments)
    assert (done.returncode, done.stdout) == (status, b"")
    assert message in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_readings_on_this_disk_are_shown_while_the_archive_is_away(root: Path) -> None:
    (root.parent / "services.json").write_text(
        '{"archive_url": "s3://bucket/prefix", "s3_endpoint_url": "http://127.0.0.1:1",'
        ' "aws_access_key_id": "nobody", "aws_secret_access_key": "nothing"}'
    )
    done = read(root, USER)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == len(LINES) + 1
    assert done.stderr.startswith(
        b"only what lies on this disk is shown: s3://bucket/prefix does not answer"
    )
    assert done.stderr.count(b"\n") == 1
    other = read(root, "00ce69")
    assert (other.returncode, other.stdout) == (1, b"")
    assert other.stderr.startswith(b"s3://bucket/prefix does not answer")
