"""The simulated relay, asked over raw sockets as the vendor's manual prescribes.

The tests read its answers by the manual's rules, which they write down once more. They use nothing
of the real client or decoder; otherwise those and the simulator could agree on a mistake."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from eagle_logger.clock import Clock
from eagle_logger.simulator.relay.homes import Home, Spelling, homes
from eagle_logger.simulator.relay.household import SOLAR_PROFILES
from tests.contract.simulator.raw_connection import PATH, Answer, RawConnection
from tests.contract.simulator.running_relay import running_relay

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
    with running_relay(HOMES) as host_and_port:
        yield host_and_port


@pytest.fixture
def connection(address: tuple[str, int]) -> Iterator[RawConnection]:
    with RawConnection(address) as connection:
        yield connection


def command(name: str, parameters: str = "", root: str = "Command") -> bytes:
    return f"<{root}>\r\n<Name>{name}</Name>\r\n{parameters}</{root}>\r\n".encode()


def ask(connection: RawConnection, name: str, parameters: str = "", home: Home = HOME) -> Answer:
    connection.post(home, command(name, parameters))
    return connection.answer()


def fields(body: bytes, root: str) -> dict[str, str]:
    """The only notification in this body, which must be spelled as the manual shows it."""
    text = body.decode("cp1252")
    assert re.fullmatch(rf"<{root}>\r\n(  <(\w+)>[^<]*</\2>\r\n)+</{root}>\r\n", text), text
    return {name: value for name, value, _ in re.findall(r"<(\w+)>([^<]*)</(\1)>", text)}


def number(text: str, digits: int | None = None) -> int:
    """The value of a hexadecimal number, which must have so many digits."""
    assert re.fullmatch(r"0x[0-9a-f]+", text), text
    assert digits is None or len(text) == digits + 2, text
    return int(text, 16)


def test_demand_is_spelled_and_dated_as_in_the_manual(connection: RawConnection) -> None:
    answer = ask(connection, "get_instantaneous_demand")
    assert (answer.status, answer.headers) == (
        200,
        {"content-type": "text/html", "transfer-encoding": "chunked"},
    )
    demand = fields(answer.body, "InstantaneousDemand")
    assert " ".join(demand) == (
        "DeviceMacId MeterMacId TimeStamp Demand Multiplier Divisor DigitsRight DigitsLeft "
        "SuppressLeadingZero"
    )
    assert (demand["DeviceMacId"], demand["MeterMacId"]) == (HOME.device, HOME.meter)
    assert 2 < time.time() - (number(demand["TimeStamp"], 8) + SINCE_2000) < 140
    assert number(demand["Divisor"]) == 1000
    assert 0 < number(demand["Demand"], 6) < 25_000


def test_summation_has_16_digits(connection: RawConnection) -> None:
    summation = fields(ask(connection, "get_current_summation").body, "CurrentSummation")
    assert number(summation["SummationDelivered"], 16) > 0
    assert number(summation["SummationReceived"], 16) >= 0
    assert time.time() - (number(summation["TimeStamp"]) + SINCE_2000) < 260


def test_a_price_has_its_digits_currency_and_label(connection: RawConnection) -> None:
    cluster = fields(ask(connection, "get_price").body, "PriceCluster")
    price = Decimal(number(cluster["Price"])).scaleb(-number(cluster["TrailingDigits"]))
    assert 0 <= price < 1
    assert cluster["Currency"] in {"0x0348", "0x007c", "0x03d2"}
    assert cluster.keys() & {"RateLabel", "TierLabel"}


def test_a_message_has_a_text_and_can_be_confirmed(connection: RawConnection) -> None:
    message = fields(ask(connection, "get_message").body, "MessageCluster")
    assert message["Text"]
    confirmed = fields(
        ask(connection, "confirm_message", f"<Id>{message['Id']}</Id>").body, "MessageCluster"
    )
    assert confirmed["Id"] == message["Id"]
    assert confirmed["Confirmed"] == "Y"


def test_negative_demand_has_8_digits() -> None:
    noon = (time.time() // 86400) * 86400 + 12 * 3600 - SUNNY.utc_offset_s
    speed = 1e-5  # the clock hardly moves, so that it stays noon
    origin = (noon - time.time() * speed) / (1 - speed)
    for day in range(14):
        with (
            running_relay([SUNNY], clock=Clock(origin + day * 86400 / (1 - speed), speed)) as sunny,
            RawConnection(sunny) as connection,
        ):
            demand = fields(
                ask(connection, "get_instantaneous_demand", home=SUNNY).body, "InstantaneousDemand"
            )
        if len(demand["Demand"]) == 10:
            assert demand["Demand"].startswith("0xffff")
            assert -8000 < number(demand["Demand"], 8) - 2**32 < 0
            return
    pytest.fail("no noon in two weeks had a negative demand")


@pytest.mark.parametrize(
    ("name", "root"),
    [
        ("get_network_info", "NetworkInfo"),
        ("get_network_status", "Network(Info|Status)"),
        ("get_demand_peaks", "DemandPeaks"),
    ],
)
def test_other_commands_answer_with_the_manuals_notification(
    connection: RawConnection, name: str, root: str
) -> None:
    text = ask(connection, name).body.decode()
    assert re.fullmatch(
        rf"<({root})>\r\n.*<DeviceMacId>{HOME.device}</DeviceMacId>\r\n.*</\1>\r\n", text, re.DOTALL
    )


def test_list_network_is_xml_even_when_json_is_asked_for(connection: RawConnection) -> None:
    answer = ask(connection, "list_network", "<Format>JSON</Format>")
    assert answer.body.startswith(b"<NetworkList>\r\n<NetworkStatus>\r\n")
    assert answer.body.endswith(b"</NetworkStatus>\r\n</NetworkList>\r\n")


def test_history_is_a_list_of_summations(connection: RawConnection) -> None:
    start = int(time.time()) - 3600 - SINCE_2000
    body = ask(
        connection,
        "get_history_data",
        f"<StartTime>0x{start:08x}</StartTime><EndTime>0x{start + 1800:08x}</EndTime>",
    ).body
    assert body.startswith(b"<HistoryData>\r\n<CurrentSummation>")
    times = [int(text, 16) for text in re.findall(rb"<TimeStamp>0x(\w+)</TimeStamp>", body)]
    assert 7 <= len(times) <= 8
    assert times == sorted(times)
    assert start <= times[0] <= times[-1] <= start + 1800


def test_schedules_can_be_read_and_set(connection: RawConnection) -> None:
    assert ask(connection, "get_schedule").body.count(b"</ScheduleInfo>") == 9
    schedule = fields(ask(connection, "get_schedule", "<Event>demand</Event>").body, "ScheduleInfo")
    assert schedule["Event"] == "demand"
    parameters = "<Event>demand</Event><Frequency>0x000a</Frequency><Enabled>Y</Enabled>"
    assert ask(connection, "set_schedule", parameters).body == b""


def test_json_has_the_same_members_all_of_them_strings(connection: RawConnection) -> None:
    answer = ask(connection, "get_instantaneous_demand", "<Format>JSON</Format>")
    members = json.loads(answer.body)["InstantaneousDemand"]
    assert answer.headers["content-type"] == "text/html"
    assert all(isinstance(value, str) for value in members.values())
    assert number(members["TimeStamp"], 8)


def test_json_lists_lack_their_outer_braces(connection: RawConnection) -> None:
    body = ask(connection, "get_schedule", "<Format>JSON</Format>").body
    assert body.startswith(b'"ScheduleList": {')
    assert len(json.loads(b"{" + body + b"}")["ScheduleList"]["ScheduleInfo"]) == 9


@pytest.mark.parametrize("header", ["Cloud-Id", "Cloud-ID", "cloud-id"])
def test_the_header_cloud_id_may_have_any_case(connection: RawConnection, header: str) -> None:
    connection.post(HOME, command("get_price"), cloud_id_header=header)
    assert connection.answer().status == 200


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
def test_every_spelling_of_a_command_that_clients_use_is_answered(
    connection: RawConnection, body: bytes
) -> None:
    connection.post(HOME, body)
    assert b"<PriceCluster>" in connection.answer().body


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Cloud-Id", "ffffff"),
        ("User", "nobody@example.invalid"),
        ("Password", "guess"),
        ("Password", None),
    ],
    ids=["cloud id", "user", "password", "no password"],
)
def test_a_client_without_the_right_three_headers_is_refused(
    connection: RawConnection, header: str, value: str | None
) -> None:
    right = {"Cloud-Id": HOME.cloud_id, "User": HOME.user_email, "Password": HOME.user_pw}
    headers = {**right, header: value}
    lines = "".join(f"{name}: {text}\r\n" for name, text in headers.items() if text)
    body = command("get_price")
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
    connection.send(head.encode() + body)
    answer = connection.answer()
    assert answer.status == 401
    assert b"MacId" not in answer.body


def test_another_gateways_mac_is_an_error(connection: RawConnection) -> None:
    answer = ask(connection, "get_price", f"<MacId>{HOMES[1].device}</MacId>")
    assert answer.body.startswith(b"<Error>")


def test_an_unknown_command_is_an_error(connection: RawConnection) -> None:
    assert ask(connection, "make_coffee").body.startswith(b"<Error>")


def test_a_connection_is_kept_and_a_pipelined_request_waits(connection: RawConnection) -> None:
    connection.post(HOME, command("get_price"))
    connection.post(HOME, command("get_message"))
    assert b"<PriceCluster>" in connection.answer().body
    assert b"<MessageCluster>" in connection.answer().body


def test_a_request_may_come_byte_by_byte(connection: RawConnection) -> None:
    body = command("get_price")
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: x\r\nCloud-Id: {HOME.cloud_id}\r\n"
        f"User: {HOME.user_email}\r\nPassword: {HOME.user_pw}\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    )
    for byte in head.encode() + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body):
        connection.send(bytes([byte]))
    assert b"<PriceCluster>" in connection.answer().body


def test_a_client_that_asks_to_close_gets_its_connection_closed(connection: RawConnection) -> None:
    connection.post(HOME, command("get_price"), headers="Connection: close\r\n")
    assert connection.answer().headers["connection"] == "close"
    assert connection.is_closed_by_server()


def test_an_http_1_0_client_gets_no_chunks(connection: RawConnection) -> None:
    connection.send(b"GET /healthz HTTP/1.0\r\n\r\n")
    data = b""
    while piece := connection.socket.recv(65536):
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert json.loads(body)["status"] == "ok"


@pytest.mark.parametrize(
    "noise",
    [b"\x16\x03\x01\x02\x00\r\n\r\n", b"GET\r\n\r\n", b"x" * 40_000, b"GET / SMTP/1.1\r\n\r\n"],
)
def test_bytes_that_are_not_http_are_answered_with_400(
    connection: RawConnection, noise: bytes
) -> None:
    connection.send(noise)
    assert connection.answer().status == 400
    assert connection.is_closed_by_server()


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET /nowhere", 404),
        ("GET " + PATH, 404),
        ("DELETE /faults", 405),
        ("GET /ledger?after=x", 416),
    ],
)
def test_an_unknown_page_or_method_is_answered_with_a_problem(
    connection: RawConnection, request_line: str, status: int
) -> None:
    connection.send(f"{request_line} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    answer = connection.answer()
    assert answer.status == status
    assert answer.json()["detail"]


def ledger(connection: RawConnection, query: str = "") -> list[dict[str, Any]]:
    return [json.loads(line) for line in connection.get(f"/ledger{query}").body.splitlines()]


def test_the_ledger_lists_each_reply_with_its_readings() -> None:
    with running_relay(HOMES) as address, RawConnection(address) as connection:
        connection.post(
            HOME, command("get_instantaneous_demand"), headers="User-Agent: by hand\r\n"
        )
        demand = fields(connection.answer().body, "InstantaneousDemand")
        summation = fields(ask(connection, "get_current_summation").body, "CurrentSummation")
        ask(connection, "get_network_info")
        now = time.time()
        first, second, third = ledger(connection)
        port = connection.socket.getsockname()[1]
    assert (first["agent"], first["cloud_id"]) == ("by hand", HOME.cloud_id)
    assert (first["port"], first["client_closed"]) == (port, False)
    assert first["connection"] == second["connection"]
    assert now - 60 < first["completed"] < now + 0.01
    assert first["completed"] == pytest.approx(first["wall"], abs=1)
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
    (reading,) = second["readings"]
    watt_hours = number(summation["SummationDelivered"]) * factor
    assert Decimal(reading["delivered"]) == Decimal(watt_hours) / 1000
    assert third["readings"] == []


def test_the_ledger_can_be_read_on_from_an_offset() -> None:
    with running_relay(HOMES) as address, RawConnection(address) as connection:
        ask(connection, "get_price")
        size = int(connection.get("/ledger").headers["ledger-size"])
        ask(connection, "get_message")
        lines = ledger(connection, f"?after={size}")
        assert [line["readings"][0]["kind"] for line in lines] == ["message"]


def test_stats_show_how_often_and_how_close_together_a_home_was_asked() -> None:
    with (
        running_relay(HOMES, latency=0.2) as address,
        RawConnection(address) as connection,
        RawConnection(address) as rude,
    ):
        connection.post(HOME, command("get_price"))
        rude.post(HOME, command("get_price"))
        connection.answer()
        rude.answer()
        ask(connection, "get_price", home=HOMES[1])
        stats = connection.get("/stats?homes=all").json()
    assert stats["in_flight"] == {"now": 0, "most": 2, "home": HOME.cloud_id}
    assert stats["gap"]["home"] == HOME.cloud_id
    assert 0 <= stats["gap"]["smallest"] < 0.2
    assert stats["requests"]["total"] == 3
    assert stats["requests"]["top"][0] == {"cloud_id": HOME.cloud_id, "requests": 2}
    assert stats["outcomes"] == {"ok": 3}
    assert stats["per_home"][HOMES[1].cloud_id]["most_in_flight"] == 1
