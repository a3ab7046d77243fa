"""The simulator is driven with raw sockets as the vendor's manual prescribes, and its answers are
read by the manual's rules, written down here once more. Nothing of the real client or decoder is
used: they and the simulator cannot agree on a mistake."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from eagle_logger.simulator.relay.homes import Home, Spelling, homes
from eagle_logger.simulator.relay.household import SOLAR_PROFILES
from tests.contract.simulator.raw import PATH, Answer, Wire
from tests.contract.simulator.serving import serving

HOMES = homes(60, seed=11)
HOME = HOMES[0]
SUNNY = next(
    home
    for home in HOMES
    if home.profile in SOLAR_PROFILES and home.multiplier == 1 and home.spelling is Spelling.USUAL
)
SINCE_2000 = 946_684_800


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    with serving(HOMES) as found:
        yield found


@pytest.fixture
def wire(address: tuple[str, int]) -> Iterator[Wire]:
    with Wire(address) as found:
        yield found


def command(name: str, rest: str = "", root: str = "Command") -> bytes:
    return f"<{root}>\r\n<Name>{name}</Name>\r\n{rest}</{root}>\r\n".encode()


def ask(wire: Wire, name: str, rest: str = "", home: Home = HOME) -> Answer:
    wire.post(home, command(name, rest))
    return wire.answer()


def fields(body: bytes, root: str) -> dict[str, str]:
    text = body.decode("cp1252")
    assert re.fullmatch(rf"<{root}>\r\n(  <(\w+)>[^<]*</\2>\r\n)+</{root}>\r\n", text), text
    return {name: value for name, value, _ in re.findall(r"<(\w+)>([^<]*)</(\1)>", text)}


def number(text: str, digits: int | None = None) -> int:
    assert re.fullmatch(r"0x[0-9a-f]+", text), text
    assert digits is None or len(text) == digits + 2, text
    return int(text, 16)


def test_demand(wire: Wire) -> None:
    answer = ask(wire, "get_instantaneous_demand")
    assert (answer.status, answer.headers) == (
        200,
        {"content-type": "text/html", "transfer-encoding": "chunked"},
    )
    said = fields(answer.body, "InstantaneousDemand")
    assert " ".join(said) == (
        "DeviceMacId MeterMacId TimeStamp Demand Multiplier Divisor DigitsRight DigitsLeft SuppressLeadingZero"
    )
    assert (said["DeviceMacId"], said["MeterMacId"]) == (HOME.device, HOME.meter)
    assert 2 < time.time() - (number(said["TimeStamp"], 8) + SINCE_2000) < 140
    assert number(said["Divisor"]) == 1000
    assert 0 < number(said["Demand"], 6) < 25_000


def test_summation_has_16_digits(wire: Wire) -> None:
    said = fields(ask(wire, "get_current_summation").body, "CurrentSummation")
    assert number(said["SummationDelivered"], 16) > 0
    assert number(said["SummationReceived"], 16) >= 0
    assert time.time() - (number(said["TimeStamp"]) + SINCE_2000) < 260


def test_price(wire: Wire) -> None:
    said = fields(ask(wire, "get_price").body, "PriceCluster")
    price = Decimal(number(said["Price"])).scaleb(-number(said["TrailingDigits"]))
    assert 0 <= price < 1
    assert said["Currency"] in {"0x0348", "0x007c", "0x03d2"}
    assert said.keys() & {"RateLabel", "TierLabel"}


def test_message(wire: Wire) -> None:
    said = fields(ask(wire, "get_message").body, "MessageCluster")
    assert said["Text"]
    confirmed = fields(
        ask(wire, "confirm_message", f"<Id>{said['Id']}</Id>").body, "MessageCluster"
    )
    assert confirmed["Id"] == said["Id"]
    assert confirmed["Confirmed"] == "Y"


def test_negative_demand_has_8_digits(address: tuple[str, int]) -> None:
    from eagle_logger.clock import Clock

    noon = (time.time() // 86400) * 86400 + 12 * 3600 - SUNNY.utc_offset_s
    speed = 1e-5  # time all but stands still, at noon
    origin = (noon - time.time() * speed) / (1 - speed)
    for day in range(14):
        with (
            serving([SUNNY], clock=Clock(origin + day * 86400 / (1 - speed), speed)) as sunny,
            Wire(sunny) as wire,
        ):
            said = fields(
                ask(wire, "get_instantaneous_demand", home=SUNNY).body, "InstantaneousDemand"
            )
        if len(said["Demand"]) == 10:
            assert said["Demand"].startswith("0xffff")
            assert -8000 < number(said["Demand"], 8) - 2**32 < 0
            return
    pytest.fail("no sun in two weeks")


@pytest.mark.parametrize(
    ("name", "root"),
    [
        ("get_network_info", "NetworkInfo"),
        ("get_network_status", "Network(Info|Status)"),
        ("get_demand_peaks", "DemandPeaks"),
    ],
)
def test_the_other_notifications(wire: Wire, name: str, root: str) -> None:
    text = ask(wire, name).body.decode()
    assert re.fullmatch(
        rf"<({root})>\r\n.*<DeviceMacId>{HOME.device}</DeviceMacId>\r\n.*</\1>\r\n", text, re.DOTALL
    )


def test_list_network_is_xml_even_when_json_is_asked_for(wire: Wire) -> None:
    answer = ask(wire, "list_network", "<Format>JSON</Format>")
    assert answer.body.startswith(b"<NetworkList>\r\n<NetworkStatus>\r\n")
    assert answer.body.endswith(b"</NetworkStatus>\r\n</NetworkList>\r\n")


def test_history_is_a_list_of_summations(wire: Wire) -> None:
    start = int(time.time()) - 3600 - SINCE_2000
    body = ask(
        wire,
        "get_history_data",
        f"<StartTime>0x{start:08x}</StartTime><EndTime>0x{start + 1800:08x}</EndTime>",
    ).body
    assert body.startswith(b"<HistoryData>\r\n<CurrentSummation>")
    times = [int(text, 16) for text in re.findall(rb"<TimeStamp>0x(\w+)</TimeStamp>", body)]
    assert 7 <= len(times) <= 8
    assert times == sorted(times)
    assert start <= times[0] <= times[-1] <= start + 1800


def test_schedules(wire: Wire) -> None:
    assert ask(wire, "get_schedule").body.count(b"</ScheduleInfo>") == 9
    assert (
        fields(ask(wire, "get_schedule", "<Event>demand</Event>").body, "ScheduleInfo")["Event"]
        == "demand"
    )
    assert (
        ask(
            wire,
            "set_schedule",
            "<Event>demand</Event><Frequency>0x000a</Frequency><Enabled>Y</Enabled>",
        ).body
        == b""
    )


def test_json_has_the_same_members_all_of_them_strings(wire: Wire) -> None:
    answer = ask(wire, "get_instantaneous_demand", "<Format>JSON</Format>")
    said = json.loads(answer.body)["InstantaneousDemand"]
    assert answer.headers["content-type"] == "text/html"
    assert all(isinstance(value, str) for value in said.values())
    assert number(said["TimeStamp"], 8)


def test_json_lists_lack_their_outer_braces(wire: Wire) -> None:
    body = ask(wire, "get_schedule", "<Format>JSON</Format>").body
    assert body.startswith(b'"ScheduleList": {')
    assert len(json.loads(b"{" + body + b"}")["ScheduleList"]["ScheduleInfo"]) == 9


@pytest.mark.parametrize("header", ["Cloud-Id", "Cloud-ID", "cloud-id"])
def test_the_header_may_be_spelled_either_way(wire: Wire, header: str) -> None:
    wire.post(HOME, command("get_price"), name=header)
    assert wire.answer().status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"\r\n" + command("get_price"),
        command("get_price", root="LocalCommand"),
        command("get_price", f"<MacId>{HOME.device}</MacId>"),
        command("get_price", f"<DeviceMacId>{HOME.device}</DeviceMacId>"),
    ],
    ids=["leading CRLF", "LocalCommand", "MacId", "DeviceMacId"],
)
def test_spellings_that_clients_use(wire: Wire, body: bytes) -> None:
    wire.post(HOME, body)
    assert b"<PriceCluster>" in wire.answer().body


@pytest.mark.parametrize(
    "wrong",
    [
        ("Cloud-Id", "ffffff"),
        ("User", "nobody@example.invalid"),
        ("Password", "guess"),
        ("Password", None),
    ],
    ids=["cloud id", "user", "password", "no password"],
)
def test_who_does_not_know_all_three_headers_is_refused(
    wire: Wire, wrong: tuple[str, str | None]
) -> None:
    given: dict[str, str | None] = {
        "Cloud-Id": HOME.cloud_id,
        "User": HOME.user_email,
        "Password": HOME.user_pw,
    }
    given.update([wrong])
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items() if value)
    body = command("get_price")
    wire.send(
        f"POST {PATH} HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    answer = wire.answer()
    assert answer.status == 401
    assert b"MacId" not in answer.body


def test_another_gateways_mac_is_an_error(wire: Wire) -> None:
    assert ask(wire, "get_price", f"<MacId>{HOMES[1].device}</MacId>").body.startswith(b"<Error>")


def test_an_unknown_command_is_an_error(wire: Wire) -> None:
    assert ask(wire, "make_coffee").body.startswith(b"<Error>")


def test_a_connection_is_kept_and_a_pipelined_request_waits(wire: Wire) -> None:
    wire.post(HOME, command("get_price"))
    wire.post(HOME, command("get_message"))
    assert b"<PriceCluster>" in wire.answer().body
    assert b"<MessageCluster>" in wire.answer().body


def test_a_request_may_come_byte_by_byte(wire: Wire) -> None:
    body = command("get_price")
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: x\r\nCloud-Id: {HOME.cloud_id}\r\nUser: {HOME.user_email}\r\n"
        f"Password: {HOME.user_pw}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    for byte in head.encode() + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body):
        wire.send(bytes([byte]))
    assert b"<PriceCluster>" in wire.answer().body


def test_connection_close_is_obeyed(wire: Wire) -> None:
    wire.post(HOME, command("get_price"), headers="Connection: close\r\n")
    assert wire.answer().headers["connection"] == "close"
    assert wire.ends()


def test_an_http_1_0_client_gets_no_chunks(wire: Wire) -> None:
    wire.send(b"GET /healthz HTTP/1.0\r\n\r\n")
    while not wire.socket.recv(65536, 2):  # peek
        pass
    data = b""
    while piece := wire.socket.recv(65536):
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert json.loads(body)["status"] == "ok"


@pytest.mark.parametrize(
    "noise",
    [b"\x16\x03\x01\x02\x00\r\n\r\n", b"GET\r\n\r\n", b"x" * 40_000, b"GET / SMTP/1.1\r\n\r\n"],
)
def test_what_is_not_http_is_refused(wire: Wire, noise: bytes) -> None:
    wire.send(noise)
    assert wire.answer().status == 400
    assert wire.ends()


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET /nowhere", 404),
        ("GET " + PATH, 404),
        ("DELETE /faults", 405),
        ("GET /ledger?after=x", 416),
    ],
)
def test_pages_there_are_not(wire: Wire, request_line: str, status: int) -> None:
    wire.send(f"{request_line} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    answer = wire.answer()
    assert answer.status == status
    assert answer.json()["detail"]


def ledger(wire: Wire, query: str = "") -> list[dict[str, Any]]:
    return [json.loads(line) for line in wire.get(f"/ledger{query}").body.splitlines()]


def test_the_ledger_tells_what_was_served() -> None:
    with serving(HOMES) as address, Wire(address) as wire:
        wire.post(HOME, command("get_instantaneous_demand"), headers="User-Agent: by hand\r\n")
        demand = fields(wire.answer().body, "InstantaneousDemand")
        summation = fields(ask(wire, "get_current_summation").body, "CurrentSummation")
        ask(wire, "get_network_info")
        now = time.time()
        first, second, third = ledger(wire)
        port = wire.socket.getsockname()[1]
    assert (first["agent"], first["cloud_id"], first["port"], first["client_closed"]) == (
        "by hand",
        HOME.cloud_id,
        port,
        False,
    )
    assert first["connection"] == second["connection"]
    assert now - 5 < first["completed"] < now + 0.01
    assert first["completed"] == pytest.approx(first["wall"], abs=0.01)
    factor = number(demand["Multiplier"]) or 1
    assert first["readings"] == [
        {
            "device": HOME.device,
            "meter": HOME.meter,
            "kind": "demand",
            "time": number(demand["TimeStamp"]) + SINCE_2000,
            "value": f"{Decimal(number(demand['Demand']) * factor) / 1000:f}",
        }
    ]
    (said,) = second["readings"]
    assert (
        Decimal(said["delivered"])
        == Decimal(number(summation["SummationDelivered"]) * factor) / 1000
    )
    assert third["readings"] == []


def test_the_ledger_can_be_read_from_where_one_was() -> None:
    with serving(HOMES) as address, Wire(address) as wire:
        ask(wire, "get_price")
        size = int(wire.get("/ledger").headers["ledger-size"])
        ask(wire, "get_message")
        assert [line["readings"][0]["kind"] for line in ledger(wire, f"?after={size}")] == [
            "message"
        ]


def test_stats_show_how_politely_a_home_was_asked() -> None:
    with serving(HOMES, latency=0.2) as address, Wire(address) as wire, Wire(address) as rude:
        wire.post(HOME, command("get_price"))
        rude.post(HOME, command("get_price"))
        wire.answer()
        rude.answer()
        ask(wire, "get_price", home=HOMES[1])
        stats = wire.get("/stats?homes=all").json()
    assert stats["in_flight"] == {"now": 0, "most": 2, "home": HOME.cloud_id}
    assert stats["gap"]["home"] == HOME.cloud_id
    assert 0 <= stats["gap"]["smallest"] < 0.2
    assert stats["requests"]["total"] == 3
    assert stats["requests"]["top"][0] == {"cloud_id": HOME.cloud_id, "requests": 2}
    assert stats["outcomes"] == {"ok": 3}
    assert stats["per_home"][HOMES[1].cloud_id]["most_in_flight"] == 1
