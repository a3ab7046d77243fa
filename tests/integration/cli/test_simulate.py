"""`eagle-logger simulate` as a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from eagle_logger.simulator.relay.homes import Home, homes
from tests.contract.simulator.raw_connection import RawConnection
from tests.integration.cli.commands import COMMAND
from tests.support.certificates import Authority
from tests.support.polling import PATIENCE_S, wait_until
from tests.support.programs import environment_with, run_to_end

DEMAND = b"<Command><Name>get_instantaneous_demand</Name></Command>"
HOMES = homes(3, seed=21)


@contextmanager
def simulating(
    folder: Path, *options: str, **variables: str
) -> Iterator[tuple[subprocess.Popen[str], tuple[str, int]]]:
    process = subprocess.Popen(
        [
            *COMMAND,
            "simulate",
            "--homes",
            "3",
            "--seed",
            "21",
            "--ledger",
            str(folder / "ledger.jsonl"),
            *options,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=folder,
        env=environment_with(**variables),
    )
    try:
        assert process.stdout is not None
        url = urlsplit(process.stdout.readline().strip())
        yield process, (str(url.hostname), int(url.port or 0))
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def ask(address: tuple[str, int], home: Home = HOMES[0]) -> bytes:
    with RawConnection(address) as connection:
        connection.post(home, DEMAND)
        return connection.answer().body


def ledger(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]


def await_ledger(folder: Path, lines: int) -> None:
    wait_until(lambda: len(ledger(folder)) >= lines)


def test_the_ledger_file_follows_the_replies(tmp_path: Path) -> None:
    with simulating(tmp_path, "--latency", "0") as (_, address):
        assert HOMES[0].device.encode() in ask(address)
        await_ledger(tmp_path, 1)
    assert ledger(tmp_path)[0]["cloud_id"] == HOMES[0].cloud_id


def test_replies_in_flight_are_finished_on_sigterm(tmp_path: Path) -> None:
    with (
        simulating(tmp_path, "--latency", "0.9", "--latency-spread", "0") as (process, address),
        RawConnection(address) as connection,
    ):
        with RawConnection(address) as other:
            connection.post(HOMES[0], DEMAND)
            wait_until(
                lambda: (
                    other.get("/stats").json()["in_flight"]["now"] == 1 or bool(ledger(tmp_path))
                )
            )
        process.send_signal(signal.SIGTERM)
        assert b"</InstantaneousDemand>" in connection.answer().body
        assert process.wait(PATIENCE_S) == 0
    assert len(ledger(tmp_path)) == 1


def test_a_hanging_reply_does_not_hold_up_the_end(tmp_path: Path) -> None:
    (tmp_path / "faults.json").write_text('{"rules": [{"fault": "hang"}]}')
    with (
        simulating(tmp_path, "--faults", "faults.json") as (process, address),
        RawConnection(address) as connection,
    ):
        connection.post(HOMES[0], DEMAND)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0, "a hanging reply would never end"


def test_a_simulator_that_was_killed_carries_on_when_started_again(tmp_path: Path) -> None:
    for lines in (1, 2):
        with simulating(tmp_path, "--latency", "0") as (_, address):
            ask(address)
            await_ledger(tmp_path, lines)
    first, second = ledger(tmp_path)
    assert first["readings"][0]["device"] == second["readings"][0]["device"] == HOMES[0].device
    assert first["readings"][0]["time"] <= second["readings"][0]["time"]
    assert first["connection"] != second["connection"]


def test_the_meters_clocks_follow_the_test_clock(tmp_path: Path) -> None:
    origin = int(time.time()) - 100
    with simulating(tmp_path, "--latency", "0", EAGLE_TEST_CLOCK=f"{origin}@60") as (_, address):
        ask(address)
        await_ledger(tmp_path, 1)
    (line,) = ledger(tmp_path)
    assert line["completed"] == pytest.approx(origin + (line["wall"] - origin) * 60, abs=120)
    assert 2 < line["completed"] - line["readings"][0]["time"] < 600


def test_only_the_owner_may_read_the_file_of_accounts(tmp_path: Path) -> None:
    users = tmp_path / "users.jsonl"
    users.write_text("left over")
    with simulating(tmp_path, "--users-file", str(users)):
        pass
    assert users.stat().st_mode & 0o777 == 0o600
    assert [json.loads(line) for line in users.read_text().splitlines()] == [
        {"cloud_id": home.cloud_id, "user_email": home.user_email, "user_pw": home.user_pw}
        for home in HOMES
    ]


def run(*options: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return run_to_end([*COMMAND, "simulate", *options], cwd=folder, env=environment_with())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--homes", "0"], "--homes"),
        (["--port", "99999"], "--port"),
        (["--faults", "none.json"], "none.json: No such file"),
        (["--faults", "wrong.json"], "rules[0].latency.seconds: Field required"),
        (["--ledger", "nowhere/ledger.jsonl"], "nowhere/ledger.jsonl: No such file"),
        (["--users-file", "nowhere/users.jsonl"], "nowhere/users.jsonl: No such file"),
        (["--host", "192.0.2.1"], "cannot listen on 192.0.2.1"),
    ],
)
def test_a_wrong_option_is_one_clear_message(
    tmp_path: Path, options: list[str], message: str
) -> None:
    (tmp_path / "wrong.json").write_text('{"rules": [{"fault": "latency"}]}')
    ended = run(*options, folder=tmp_path)
    assert ended.returncode == 2
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_taken_port_is_one_clear_message(tmp_path: Path) -> None:
    with simulating(tmp_path) as (_, (_, port)):
        ended = run("--port", str(port), folder=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"cannot listen on 127.0.0.1, port {port}: ")


def test_the_simulator_speaks_tls_with_a_certificate(tmp_path: Path) -> None:
    pem, authority = tmp_path / "relay.pem", Authority()
    certificate = authority.issue("127.0.0.1")
    pem.write_bytes(certificate.pem + certificate.key_pem)
    with (
        simulating(tmp_path, "--latency", "0", "--certificate", str(pem)) as (_, (host, port)),
        urllib.request.urlopen(
            f"https://{host}:{port}/stats", context=authority.client_context(), timeout=10
        ) as reply,
    ):
        assert "outcomes" in json.load(reply)
