from __future__ import annotations

import pytest

from eagle_logger.simulator.relay.commands import parse, parse_number

MAC = "0xd8d5b90000001234"


@pytest.mark.parametrize(
    "body",
    [
        f"<Command><Name>get_price</Name><MacId>{MAC}</MacId></Command>",
        f"<Command>\r\n  <Name>get_price</Name>\r\n  <MacId>{MAC}</MacId>\r\n</Command>\r\n",
        f"\r\n<LocalCommand><Name>get_price</Name><DeviceMacId>{MAC}</DeviceMacId></LocalCommand>",
        f"<command><macid>{MAC.upper().replace('0X', '0x')}</macid><NAME>GET_PRICE</NAME></command>",
    ],
)
def test_every_spelling_in_use_is_the_same_command(body: str) -> None:
    command = parse(body.encode())
    assert command is not None
    assert (command.name, command.mac, command.wants_json, command.kind) == (
        "get_price",
        MAC,
        False,
        "price",
    )


def test_parameters_and_format() -> None:
    command = parse(
        b"<Command><Name>get_history_data</Name><StartTime>0x1c91ec39</StartTime><Frequency>300</Frequency>"
        b"<Format>JSON</Format></Command>"
    )
    assert command is not None
    assert command.wants_json
    assert command.kind == "other"
    assert parse_number(command.values["starttime"]) == 0x1C91EC39
    assert parse_number(command.values["frequency"]) == 300


@pytest.mark.parametrize(
    "body",
    [b"", b"hello", b"<Command>", b"<Command></Command>", b"<Other><Name>get_price</Name></Other>"],
)
def test_what_is_no_command(body: bytes) -> None:
    assert parse(body) is None


@pytest.mark.parametrize("text", [None, "", "0xzz", "soon", "-5", "0x" + "f" * 5000, "9" * 5000])
def test_what_is_no_number(text: str | None) -> None:
    assert parse_number(text) is None
