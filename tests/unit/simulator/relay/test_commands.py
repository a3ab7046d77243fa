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
        f"<command><macid>0x{MAC[2:].upper()}</macid><NAME>GET_PRICE</NAME></command>",
    ],
)
def test_every_spelling_that_clients_use_is_the_same_command(body: str) -> None:
    command = parse(body.encode())
    assert command is not None
    assert (command.name, command.mac) == ("get_price", MAC)
    assert (command.wants_json, command.kind) == (False, "price")


def test_a_command_has_its_parameters_and_its_format() -> None:
    command = parse(
        b"<Command><Name>get_history_data</Name><StartTime>0x1c91ec39</StartTime>"
        b"<Frequency>300</Frequency><Format>JSON</Format></Command>"
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
def test_a_body_without_a_named_command_is_none(body: bytes) -> None:
    assert parse(body) is None


@pytest.mark.parametrize("text", [None, "", "0xzz", "soon", "-5", "0x" + "f" * 5000, "9" * 5000])
def test_a_text_that_is_no_32_bit_number_is_none(text: str | None) -> None:
    assert parse_number(text) is None
