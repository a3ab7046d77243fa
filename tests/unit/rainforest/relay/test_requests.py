from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_logger.core.kinds import Kind
from eagle_logger.rainforest.relay.requests import network_info_request, reading_request
from eagle_logger.simulator.relay.commands import parse

MAC = "0xd8d5b9000000abcd"

COMMANDS: dict[str, Callable[..., bytes]] = {
    "<Name>get_instantaneous_demand</Name>{mac}": partial(reading_request, Kind.DEMAND),
    "<Name>get_current_summation</Name>{mac}": partial(reading_request, Kind.SUMMATION),
    "<Name>get_price</Name>{mac}": partial(reading_request, Kind.PRICE),
    "<Name>get_message</Name>{mac}": partial(reading_request, Kind.MESSAGE),
    "<Name>get_network_info</Name>{mac}<Protocol>ZigBee</Protocol>": network_info_request,
}


@pytest.mark.parametrize("expected", COMMANDS)
def test_a_command_is_spelled_as_in_the_manual(expected: str) -> None:
    request = COMMANDS[expected]
    with_mac = expected.format(mac=f"<MacId>{MAC}</MacId>")
    assert request().decode() == f"<Command>{expected.format(mac='')}</Command>"
    assert request(mac_id=MAC).decode() == f"<Command>{with_mac}</Command>"


@given(
    st.text(
        st.characters(exclude_characters="<>&", min_codepoint=33, max_codepoint=126), min_size=1
    )
)
def test_a_mac_does_not_break_out_of_its_element(text: str) -> None:
    hostile = f"</MacId><Name>reboot</Name>&{text}"
    request = reading_request(Kind.DEMAND, hostile)
    assert request.count(b"<Name>") == 1
    assert request.isascii()
    command = parse(request)
    assert command is not None
    assert command.name == "get_instantaneous_demand"
