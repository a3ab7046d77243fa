"""What a client meets on the wire when things go wrong, seen over raw sockets."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from eagle_logger.simulator.relay.homes import homes
from tests.contract.simulator.raw_connection import PATH, Answer, RawConnection
from tests.contract.simulator.running_relay import running_relay
from tests.support.polling import PATIENCE_S

HOMES = homes(3, seed=12)
HOME, OTHER, _ = HOMES
DEMAND = b"<Command><Name>get_instantaneous_demand</Name></Command>"


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    with running_relay(HOMES) as host_and_port:
        yield host_and_port


@pytest.fixture
def connection(address: tuple[str, int]) -> Iterator[RawConnection]:
    with RawConnection(address) as connection:
        yield connection


def put_faults(connection: RawConnection, *rules: dict[str, Any], **members: Any) -> None:
    answer = connection.put("/faults", {"rules": rules, **members})
    assert answer.status == 200, answer.body


def ask(connection: RawConnection) -> Answer:
    connection.post(HOME, DEMAND)
    return connection.answer()


def ledger(connection: RawConnection) -> list[dict[str, Any]]:
    return [json.loads(line) for line in connection.get("/ledger").body.splitlines()]


def wait_until_in_flight(connection: RawConnection, requests: int) -> None:
    wait_for(lambda: connection.get("/stats").json()["in_flight"]["now"] == requests)


def wait_for(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if result := look():
            return result
    pytest.fail("it did not become true")


def test_faults_can_be_changed_while_the_relay_runs(connection: RawConnection) -> None:
    put_faults(connection, {"fault": "status", "status": 429, "retry_after": 30})
    answer = ask(connection)
    assert (answer.status, answer.headers["retry-after"]) == (429, "30")
    put_faults(connection)
    assert ask(connection).status == 200
    lines = ledger(connection)
    assert [(line["status"], len(line["readings"])) for line in lines] == [(429, 0), (200, 1)]


def test_faults_that_are_not_valid_leave_the_old_ones_in_force(connection: RawConnection) -> None:
    put_faults(connection, {"fault": "empty"})
    rules = [{"fault": "status", "status": 1}, {"fault": "hang", "homes": ["zz"]}]
    refusal = connection.put("/faults", {"rules": rules})
    assert refusal.status == 422
    assert refusal.json()["errors"][0].startswith("rules[0].status.status: ")
    assert connection.get("/faults").json()["rules"][0]["fault"] == "empty"


def test_a_home_that_hangs_does_not_delay_the_others(
    address: tuple[str, int], connection: RawConnection
) -> None:
    put_faults(connection, {"fault": "hang", "homes": [HOME.cloud_id]})
    with RawConnection(address) as hanging:
        hanging.post(HOME, DEMAND)
        connection.post(OTHER, DEMAND)
        assert connection.answer().status == 200
        wait_until_in_flight(connection, 1)
    wait_until_in_flight(connection, 0)
    assert [line["cloud_id"] for line in ledger(connection)] == [OTHER.cloud_id]


@pytest.mark.parametrize("after_bytes", [0, 100])
def test_a_reset_sends_no_more_than_the_bytes_before_it(
    address: tuple[str, int], connection: RawConnection, after_bytes: int
) -> None:
    put_faults(connection, {"fault": "reset", "after_bytes": after_bytes})
    with RawConnection(address) as broken, pytest.raises(ConnectionResetError):
        ask(broken)
    assert len(broken.buffer) <= after_bytes
    assert ledger(connection) == []


def test_a_dripping_reply_is_in_the_ledger_only_when_its_last_byte_is_sent(
    address: tuple[str, int], connection: RawConnection
) -> None:
    put_faults(connection, {"fault": "drip", "bytes_per_second": 600})
    with RawConnection(address) as slow:
        started = time.monotonic()
        slow.post(HOME, DEMAND)
        assert slow.socket.recv(1) == b"H"
        assert ledger(connection) == []
        slow.buffer = b"H" + slow.buffer
        assert b"</InstantaneousDemand>" in slow.answer().body
        assert time.monotonic() - started > 0.15
    (line,) = ledger(connection)
    assert (line["outcome"], len(line["readings"])) == ("drip", 1)


@pytest.mark.parametrize(
    "rule", [{"fault": "drip", "bytes_per_second": 50}, {"fault": "huge", "length": 2**26}]
)
def test_a_reply_that_the_client_does_not_read_to_its_end_is_not_in_the_ledger(
    address: tuple[str, int], connection: RawConnection, rule: dict[str, Any]
) -> None:
    put_faults(connection, rule)
    with RawConnection(address) as impatient:
        impatient.post(HOME, DEMAND)
        assert impatient.socket.recv(1) == b"H"
        assert ledger(connection) == []
    wait_until_in_flight(connection, 0)
    assert ledger(connection) == []


def test_the_fault_close_closes_the_connection_after_the_reply(connection: RawConnection) -> None:
    put_faults(connection, {"fault": "close"})
    answer = ask(connection)
    assert answer.headers["connection"] == "close"
    assert b"InstantaneousDemand" in answer.body
    assert connection.is_closed_by_server()


def test_the_fault_latency_delays_a_reply(connection: RawConnection) -> None:
    put_faults(connection, {"fault": "latency", "seconds": 0.2})
    started = time.monotonic()
    ask(connection)
    assert time.monotonic() - started > 0.15


def test_a_huge_body_comes_whole_and_holds_no_reading(connection: RawConnection) -> None:
    put_faults(connection, {"fault": "huge", "length": 3_000_000})
    assert len(ask(connection).body) == 3_000_000
    (line,) = ledger(connection)
    assert line["readings"] == []


def test_the_ledger_marks_a_reply_whose_client_had_closed_before(
    address: tuple[str, int], connection: RawConnection
) -> None:
    put_faults(connection, {"fault": "latency", "seconds": 1.0})
    with RawConnection(address) as hasty:
        hasty.post(HOME, DEMAND)
        wait_until_in_flight(connection, 1)
    (line,) = wait_for(lambda: ledger(connection))
    assert line["client_closed"] is True


def test_the_wording_of_a_refusal_can_be_changed(connection: RawConnection) -> None:
    wording = {"status": 200, "text": "<Error>Access denied</Error>"}
    put_faults(connection, wordings={"bad_password": wording})
    without_password = f"Cloud-Id: {HOME.cloud_id}\r\nContent-Length: 0"
    connection.send(f"POST {PATH} HTTP/1.1\r\n{without_password}\r\n\r\n".encode())
    answer = connection.answer()
    assert (answer.status, answer.body) == (200, b"<Error>Access denied</Error>")
    assert connection.get("/stats").json()["outcomes"] == {"bad_password": 1}
