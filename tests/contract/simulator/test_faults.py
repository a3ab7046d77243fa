"""What a client meets on the wire when things go wrong, seen with raw sockets."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from eagle_logger.simulator.relay.homes import homes
from tests.contract.simulator.raw import Answer, Wire
from tests.contract.simulator.serving import serving

HOMES = homes(3, seed=12)
HOME, OTHER, _ = HOMES
DEMAND = b"<Command><Name>get_instantaneous_demand</Name></Command>"


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    with serving(HOMES) as found:
        yield found


@pytest.fixture
def wire(address: tuple[str, int]) -> Iterator[Wire]:
    with Wire(address) as found:
        yield found


def spoil(wire: Wire, *rules: dict[str, Any], **more: Any) -> None:
    answer = wire.put("/faults", {"rules": rules, **more})
    assert answer.status == 200, answer.body


def ask(wire: Wire) -> Answer:
    wire.post(HOME, DEMAND)
    return wire.answer()


def ledger(wire: Wire) -> list[dict[str, Any]]:
    return [json.loads(line) for line in wire.get("/ledger").body.splitlines()]


def eventually(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if found := look():
            return found
    pytest.fail("it never came true")


def test_faults_change_while_it_runs(wire: Wire) -> None:
    spoil(wire, {"fault": "status", "status": 429, "retry_after": 30})
    answer = ask(wire)
    assert (answer.status, answer.headers["retry-after"]) == (429, "30")
    spoil(wire)
    assert ask(wire).status == 200
    assert [(line["status"], len(line["readings"])) for line in ledger(wire)] == [
        (429, 0),
        (200, 1),
    ]


def test_faults_that_make_no_sense_change_nothing(wire: Wire) -> None:
    spoil(wire, {"fault": "empty"})
    refused = wire.put(
        "/faults", {"rules": [{"fault": "status", "status": 1}, {"fault": "hang", "homes": ["zz"]}]}
    )
    assert refused.status == 422
    assert refused.json()["errors"][0].startswith("rules[0].status.status: ")
    assert wire.get("/faults").json()["rules"][0]["fault"] == "empty"


def test_a_home_that_hangs_leaves_the_others_alone(address: tuple[str, int], wire: Wire) -> None:
    spoil(wire, {"fault": "hang", "homes": [HOME.cloud_id]})
    with Wire(address) as hung:
        hung.post(HOME, DEMAND)
        wire.post(OTHER, DEMAND)
        assert wire.answer().status == 200
        eventually(lambda: wire.get("/stats").json()["in_flight"]["now"] == 1)
    eventually(lambda: wire.get("/stats").json()["in_flight"]["now"] == 0)
    assert [line["cloud_id"] for line in ledger(wire)] == [OTHER.cloud_id]


def test_a_reset_is_a_reset(address: tuple[str, int], wire: Wire) -> None:
    spoil(wire, {"fault": "reset"})
    with Wire(address) as broken, pytest.raises(ConnectionResetError):
        ask(broken)
    assert ledger(wire) == []


def test_a_reset_in_the_middle(address: tuple[str, int], wire: Wire) -> None:
    spoil(wire, {"fault": "reset", "after_bytes": 100})
    with Wire(address) as broken, pytest.raises(ConnectionResetError):
        ask(broken)
    assert len(broken.buffer) <= 100
    assert ledger(wire) == []


def test_a_dripping_reply_is_in_the_ledger_only_when_its_last_drop_has_fallen(
    address: tuple[str, int], wire: Wire
) -> None:
    spoil(wire, {"fault": "drip", "bytes_per_second": 2000})
    with Wire(address) as slow:
        started = time.monotonic()
        slow.post(HOME, DEMAND)
        assert slow.socket.recv(1) == b"H"
        assert ledger(wire) == []
        slow.buffer = b"H" + slow.buffer
        assert b"</InstantaneousDemand>" in slow.answer().body
        assert time.monotonic() - started > 0.15
    (line,) = ledger(wire)
    assert (line["outcome"], len(line["readings"])) == ("drip", 1)


def test_a_client_that_tires_of_dripping_has_no_complete_reply(
    address: tuple[str, int], wire: Wire
) -> None:
    spoil(wire, {"fault": "drip", "bytes_per_second": 50})
    with Wire(address) as slow:
        slow.post(HOME, DEMAND)
        assert slow.socket.recv(1) == b"H"
    eventually(lambda: wire.get("/stats").json()["in_flight"]["now"] == 0)
    assert ledger(wire) == []


def test_close_after_reply(wire: Wire) -> None:
    spoil(wire, {"fault": "close"})
    answer = ask(wire)
    assert answer.headers["connection"] == "close"
    assert b"InstantaneousDemand" in answer.body
    assert wire.ends()


def test_latency(wire: Wire) -> None:
    spoil(wire, {"fault": "latency", "seconds": 0.2})
    started = time.monotonic()
    ask(wire)
    assert 0.15 < time.monotonic() - started < 2


def test_a_huge_body_comes_whole(wire: Wire) -> None:
    spoil(wire, {"fault": "huge", "length": 3_000_000})
    assert len(ask(wire).body) == 3_000_000
    (line,) = ledger(wire)
    assert line["readings"] == []


def test_a_client_that_reads_nothing_of_a_huge_body_gets_no_line(
    address: tuple[str, int], wire: Wire
) -> None:
    spoil(wire, {"fault": "huge", "length": 2**26})
    with Wire(address) as deaf:
        deaf.post(HOME, DEMAND)
        assert deaf.socket.recv(1) == b"H"
        assert ledger(wire) == []
    eventually(lambda: wire.get("/stats").json()["in_flight"]["now"] == 0)
    assert ledger(wire) == []


def test_a_client_that_left_before_its_reply_is_told_apart(
    address: tuple[str, int], wire: Wire
) -> None:
    spoil(wire, {"fault": "latency", "seconds": 0.2})
    with Wire(address) as hasty:
        hasty.post(HOME, DEMAND)
        eventually(lambda: wire.get("/stats").json()["in_flight"]["now"] == 1)
    (line,) = eventually(lambda: ledger(wire))
    assert line["client_closed"] is True


def test_wordings_are_data(wire: Wire) -> None:
    spoil(wire, wordings={"bad_password": {"status": 200, "text": "<Error>Access denied</Error>"}})
    wire.send(
        f"POST /cgi-bin/post_manager HTTP/1.1\r\nCloud-Id: {HOME.cloud_id}\r\nContent-Length: 0\r\n\r\n".encode()
    )
    answer = wire.answer()
    assert (answer.status, answer.body) == (200, b"<Error>Access denied</Error>")
    assert wire.get("/stats").json()["outcomes"] == {"bad_password": 1}
