from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_logger.core.kinds import Kind
from eagle_logger.core.line_format import encode_line, parse_line, value_text, with_flag
from eagle_logger.core.readings import Flag, Reading
from tests.support import log_lines

READING = Reading(
    "0xd8d5b9000000abcd",
    "0x0013500100000001",
    Kind.DEMAND,
    1426010041,
    {"value": Decimal("0.9440"), "unit": "kW"},
    {"TimeStamp": "0x1c91ec39", "Demand": "0x0003b0"},
)
LINE = (
    b'{"v":1,"cloud_id":"002738","device":"0xd8d5b9000000abcd","meter":"0x0013500100000001","kind":"demand",'
    b'"time":"2015-03-10T17:54:01Z","arrived":"2015-03-10T17:54:05.250Z","value":0.944,"unit":"kW",'
    b'"raw":{"TimeStamp":"0x1c91ec39","Demand":"0x0003b0"},"flags":[]}'
)


def test_a_line_is_spelled_as_it_is_documented() -> None:
    assert encode_line("002738", READING, 1426010045.25) == LINE + b"\n"


@given(log_lines.readings(), st.floats(946684800, 4_000_000_000))
def test_a_line_that_was_written_is_read_back(reading: Reading, arrived: float) -> None:
    text = encode_line("002738", reading, arrived)
    line = parse_line(text[:-1])
    assert text.count(b"\n") == 1
    assert line.text == text[:-1]
    assert (line.cloud_id, line.identity, line.time) == ("002738", reading.identity, reading.time)
    assert line.values == value_text(reading.values)
    assert line.flags == reading.flags
    assert line.data["raw"] == dict(reading.raw)
    assert abs(line.arrived - arrived) <= 0.001


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**40), max_value=10**40))
def test_a_number_keeps_all_its_digits(number: Decimal) -> None:
    text = value_text({"value": number})
    assert "e" not in text.split(":")[1].lower()
    assert json.loads(f"{{{text}}}", parse_float=Decimal, parse_int=Decimal)["value"] == number


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3), st.integers(0, 4))
def test_equal_values_have_one_spelling(number: Decimal, zeroes: int) -> None:
    padded = Decimal(f"{number:f}" + "0" * zeroes)
    assert value_text({"value": padded}) == value_text({"value": number})


def test_a_lone_surrogate_can_be_written() -> None:
    reading = Reading("", "", Kind.MESSAGE, 1426010041, {"text": "\ud83d"}, {"Text": "\ud83d"})
    line = parse_line(encode_line("002738", reading, 1426010041)[:-1])
    assert line.values == value_text(reading.values)


def test_a_flag_is_added_once_and_changes_nothing_else() -> None:
    flagged = with_flag(parse_line(LINE), Flag.CONFLICT)
    assert flagged == LINE.replace(b'"flags":[]', b'"flags":["conflict"]')
    assert with_flag(parse_line(flagged), Flag.CONFLICT) == flagged
    assert with_flag(parse_line(flagged), Flag.BACKWARDS).endswith(
        b'"flags":["backwards","conflict"]}'
    )


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{",
        LINE[:-10],
        LINE.replace(b'"v":1', b'"v":0'),
        LINE.replace(b'"v":1', b'"v":1.5'),
        LINE.replace(b'"v":1', b'"v":true'),
        LINE.replace(b'"kind":"demand"', b'"kind":7'),
        LINE.replace(b'"kind"', b'"sort"'),
        LINE.replace(b"2015-03-10T17:54:01Z", b"yesterday"),
        LINE.replace(b'"flags":[]', b'"flags":[["odd"]]'),
        LINE.replace(b'"flags":[]', b'"flags":7'),
        LINE.replace(b'"time":"2015-03-10T17:54:01Z"', b'"time":null'),
    ],
)
def test_a_line_that_no_version_wrote_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        parse_line(text)


def test_a_kind_and_a_flag_of_a_newer_version_are_read_as_they_are() -> None:
    line = parse_line(
        LINE.replace(b'"kind":"demand"', b'"kind":"weather"').replace(
            b'"flags":[]', b'"flags":["odd"]'
        )
    )
    assert line.identity.kind == "weather"
    assert line.flags == {"odd"}
    assert with_flag(line, Flag.CONFLICT).endswith(b'"flags":["conflict","odd"]}')


@pytest.mark.parametrize(
    "text",
    [
        LINE.replace(b'"v":1', b'"v":2'),
        LINE.replace(b'"flags":[]}', b'"flags":[],"weather":"snow"}'),
        LINE.replace(b'"flags":[]', b'"flags":[],"more":{"flags":[]}'),
    ],
)
def test_a_line_of_another_schema_or_order_gets_no_flag_and_stays_as_it_is(text: bytes) -> None:
    assert with_flag(parse_line(text), Flag.CONFLICT) == text


def test_nested_members_of_a_newer_version_are_compared() -> None:
    number, string, decimal = (
        parse_line(LINE.replace(b'"raw"', b'"more":%b,"raw"' % more)).values
        for more in (b'[1,{"a":2}]', b'[1,{"a":"2"}]', b'[1,{"a":2.0}]')
    )
    assert number != string
    assert decimal != string


def test_readings_of_a_newer_schema_are_equal_only_if_all_but_the_arrival_is() -> None:
    newer = LINE.replace(b'"v":1', b'"v":2')
    sooner, later = (
        parse_line(newer.replace(b"17:54:01Z", moment)).values
        for moment in (b"17:54:01.2Z", b"17:54:01.7Z")
    )
    assert sooner != later
    assert parse_line(newer.replace(b"05.250Z", b"06.250Z")).values == parse_line(newer).values
