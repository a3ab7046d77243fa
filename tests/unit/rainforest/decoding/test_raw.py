"""A log line keeps the fields as the gateway wrote them, so that a decoder's mistake can be
repaired years later."""

from __future__ import annotations

import json

import pytest

from eagle_logger.rainforest.decoding.decode import decode
from tests.unit.rainforest.decoding.quirks.quirk import demand, message


@pytest.mark.parametrize(
    "text",
    [
        "5 &lt; 6 &amp; 7",
        "Save <b>now</b>: 3 < 5",
        "<a href='x?a=1&amp;b=2'>here</a>",
        "  blanks  ",
        "--",
    ],
)
def test_the_text_of_a_message_stays_as_it_was_spelled(text: str) -> None:
    (reading,) = decode(message("Id=0x01", f"Text={text}")).readings
    assert reading.raw["Text"] == text


def test_numbers_stay_as_they_were_spelled() -> None:
    (reading,) = decode(demand("Demand= 0X0003B0 ", "Multiplier=", "Divisor=0x000003E8")).readings
    assert reading.raw == {
        "TimeStamp": "0x1c91ec39",
        "Demand": " 0X0003B0 ",
        "Multiplier": "",
        "Divisor": "0x000003E8",
    }


def test_macs_stay_beside_their_canonical_spelling() -> None:
    (reading,) = decode(
        demand("Demand=0x1", "DeviceMacId=D8D5B9000000ABCD", "MeterMacId=nobody")
    ).readings
    assert (reading.device, reading.meter) == ("0xd8d5b9000000abcd", "")
    assert (reading.raw["DeviceMacId"], reading.raw["MeterMacId"]) == ("D8D5B9000000ABCD", "nobody")


def test_values_of_json_stay_as_they_were_spelled() -> None:
    fields = {
        "TimeStamp": "0x1c91ec39",
        "Id": "0x01",
        "Text": "now",
        "Confirmed": True,
        "Read": False,
        "Queue": [],
        "Port": [1, 2],
    }
    (reading,) = decode(json.dumps({"MessageCluster": fields}).encode()).readings
    assert (reading.raw["Confirmed"], reading.raw["Read"], reading.raw["Queue"]) == (
        "true",
        "false",
        "",
    )
    assert (reading.values["confirmed"], reading.values["read"], reading.values["queue"]) == (
        True,
        False,
        None,
    )
