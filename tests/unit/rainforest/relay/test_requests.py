from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_logger.core.kinds import Kind
from eagle_logger.rainforest.relay import requests
from eagle_logger.rainforest.relay.requests import Event, Target
from eagle_logger.simulator.relay.commands import parse

MAC = "0xd8d5b9000000abcd"

COMMANDS: dict[str, Callable[..., bytes]] = {
    "<Name>get_instantaneous_demand</Name>{mac}": partial(requests.reading, Kind.DEMAND),
    "<Name>get_current_summation</Name>{mac}": partial(requests.reading, Kind.SUMMATION),
    "<Name>get_price</Name>{mac}": partial(requests.reading, Kind.PRICE),
    "<Name>get_message</Name>{mac}": partial(requests.reading, Kind.MESSAGE),
    "<Name>confirm_message</Name>{mac}<Id>0x01</Id>": partial(requests.confirm_message, "0x01"),
    "<Name>get_network_info</Name>{mac}<Protocol>ZigBee</Protocol>": requests.network_info,
    "<Name>get_network_status</Name>{mac}<Protocol>ZigBee</Protocol>": requests.network_status,
    "<Name>list_network</Name>{mac}": requests.list_network,
    "<Name>get_history_data</Name>{mac}<StartTime>0x1c91ec39</StartTime>": partial(
        requests.history, 1426010041
    ),
    (
        "<Name>get_history_data</Name>{mac}<StartTime>0x1c91ec39</StartTime><EndTime>0x1c91ec3a</EndTime>"
        "<Frequency>0x00f0</Frequency>"
    ): partial(requests.history, 1426010041, 1426010042, 240),
    "<Name>get_schedule</Name>{mac}": requests.get_schedule,
    "<Name>get_schedule</Name>{mac}<Event>billing_period</Event>": partial(
        requests.get_schedule, Event.BILLING_PERIOD
    ),
    "<Name>get_demand_peaks</Name>{mac}": requests.demand_peaks,
    "<Name>reboot</Name>{mac}<Target>Zigbee</Target>": partial(requests.reboot, Target.ZIGBEE),
}


@pytest.mark.parametrize("expected", COMMANDS)
def test_each_command_as_the_manual_spells_it(expected: str) -> None:
    make = COMMANDS[expected]
    assert make().decode() == f"<Command>{expected.format(mac='')}</Command>"
    assert (
        make(mac_id=MAC).decode()
        == f"<Command>{expected.format(mac=f'<MacId>{MAC}</MacId>')}</Command>"
    )


def test_a_schedule_is_set_for_a_device() -> None:
    assert requests.set_schedule(MAC, Event.DEMAND, 8, enabled=True).decode() == (
        f"<Command><Name>set_schedule</Name><DeviceMacId>{MAC}</DeviceMacId><Event>demand</Event>"
        "<Frequency>0x0008</Frequency><Enabled>Y</Enabled></Command>"
    )


def test_json_on_request() -> None:
    assert requests.reading(Kind.DEMAND, as_json=True).endswith(b"<Format>JSON</Format></Command>")


@given(
    st.text(
        st.characters(exclude_characters="<>&", min_codepoint=33, max_codepoint=126), min_size=1
    )
)
def test_nothing_given_breaks_out_of_its_element(text: str) -> None:
    hostile = f"</MacId><Name>reboot</Name>&{text}"
    body = requests.reading(Kind.DEMAND, hostile)
    assert body.count(b"<Name>") == 1
    assert body.isascii()
    command = parse(requests.confirm_message(text))
    assert command is not None
    assert command.values["id"] == text


@pytest.mark.parametrize(
    ("start", "frequency"),
    [(946684799, None), (946684800 + 2**32, None), (1426010041, 65536), (1426010041, -1)],
)
def test_what_a_gateway_cannot_express_is_refused(start: int, frequency: int | None) -> None:
    with pytest.raises(ValueError, match=r"outside|no frequency"):
        requests.history(start, frequency=frequency)
