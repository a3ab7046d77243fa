"""A whole decimal ends in `.0` in a line. Older versions wrote `10`: the same reading."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_logger.core import line_parser
from eagle_logger.core.kinds import Kind
from eagle_logger.core.line_format import encode_line, value_text
from eagle_logger.core.line_parser import read_line, read_lines, times_in_order
from eagle_logger.core.readings import Reading, Undated, Value
from eagle_logger.core.sealing import part_of
from eagle_logger.core.user_state import after_logging, is_logged
from eagle_logger.core.users import UserState
from eagle_logger.users.redis.encoding import decode_state, encode_state
from tests.support import version_before
from tests.support.log_lines import CLOUD_ID, DEVICE, HOUR, METER, demand, lines
from tests.support.version_before import as_it_wrote

UNIT = {"unit": "kWh"}


def line_of(kind: Kind, values: dict[str, Value], offset: int = 1) -> bytes:
    return encode_line(
        CLOUD_ID, Reading(DEVICE, METER, kind, HOUR.start + offset, values, {}), HOUR.start + 5
    ).rstrip()


@pytest.mark.parametrize(
    ("number", "spelled"),
    [
        ("10", "10.0"),
        ("1E+1", "10.0"),
        ("0", "0.0"),
        ("-0", "0.0"),
        ("-2.00", "-2.0"),
        ("0.944", "0.944"),
        ("10.05", "10.05"),
    ],
)
def test_a_whole_decimal_ends_in_point_zero_and_is_compared_without_it(
    number: str, spelled: str
) -> None:
    values: dict[str, Value] = {"delivered": Decimal(number), "received": None, **UNIT}
    line = line_of(Kind.SUMMATION, values)
    assert f'"delivered":{spelled},"received":null'.encode() in line
    assert read_line(line, CLOUD_ID).values == value_text(values).encode()
    assert isinstance(json.loads(line)["delivered"], float), (
        "a reader that infers types never takes it for an integer"
    )


def test_only_decimals_end_in_point_zero() -> None:
    line = line_of(
        Kind.PRICE,
        {"price": Decimal(1), "currency": "1.0", "tier": 1, "label": "Block 2.0, from 3.0"},
    )
    assert b'"v":1,' in line
    assert b'"price":1.0,"currency":"1.0","tier":1,"label":"Block 2.0, from 3.0"' in line
    parsed = read_line(line, CLOUD_ID)
    assert parsed.values == b'"price":1,"currency":"1.0","tier":1,"label":"Block 2.0, from 3.0"'
    assert read_line(as_it_wrote(line), CLOUD_ID).values == parsed.values


@given(lines())
def test_old_and_new_spellings_are_the_same_reading(new: bytes) -> None:
    old = as_it_wrote(new)
    assert read_line(old, CLOUD_ID)[:6] == read_line(new, CLOUD_ID)[:6]


@given(lines())
def test_the_version_before_reads_the_lines_of_this_version(new: bytes) -> None:
    parsed = read_line(new, CLOUD_ID)
    assert version_before.read_entry(new) == tuple(
        part.decode() for part in (*parsed.identity, parsed.values)
    )


def test_the_version_before_reads_a_line_without_a_time_of_its_own() -> None:
    arrived = HOUR.start + 7.25
    undated = Undated(
        DEVICE, METER, Kind.PRICE, {"price": Decimal(25), "tier": 1}, {"TimeStamp": "0xffffffff"}
    )
    line = encode_line(CLOUD_ID, undated.dated(arrived), arrived).rstrip()
    assert version_before.read_entry(line) == (
        "2026-03-10T17:00:07Z",
        DEVICE,
        METER,
        "price",
        '"price":25,"tier":1',
    )


def test_both_spellings_of_a_whole_number_are_read_without_the_json_parser(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(line_parser, "parse_line")
    new = (
        demand(1, 10)
        + demand(2, "0.5")
        + line_of(Kind.SUMMATION, {"delivered": Decimal(7), "received": Decimal(0), **UNIT}, 3)
    )
    for content in (new, as_it_wrote_all(new), new + b"\n" + as_it_wrote(demand(4, -3))):
        readable, unreadable = read_lines(content, CLOUD_ID)
        assert not unreadable
        assert readable[2].values == b'"delivered":7,"received":0,"unit":"kWh"'
        times = [line.time for line in readable]
        assert (
            times_in_order(content if content.endswith(b"\n") else content + b"\n", CLOUD_ID)
            == times
        )


@pytest.mark.parametrize("spelled", [b"10.00", b"-0.0", b"-0", b"010.0", b"1e1", b"10."])
def test_any_other_spelling_of_a_number_needs_the_json_parser(
    monkeypatch: pytest.MonkeyPatch, spelled: bytes
) -> None:
    monkeypatch.setattr(
        line_parser,
        "parse_line",
        lambda _: (_ for _ in ()).throw(ValueError("the parser was asked")),
    )
    text = demand(1, 10).rstrip().replace(b'"value":10.0', b'"value":' + spelled)
    assert read_lines(text, CLOUD_ID) == ([], [(text, "the parser was asked")])


@given(st.lists(lines(few=True), max_size=25), st.data())
def test_old_and_new_spellings_in_one_file_are_one_reading_in_the_archive(
    texts: list[bytes], data: st.DataObject
) -> None:
    mixed = [as_it_wrote(text) if data.draw(st.booleans()) else text for text in texts]
    readable, _ = read_lines(b"\n".join(mixed), CLOUD_ID)
    new = part_of(read_lines(b"\n".join(texts), CLOUD_ID)[0], {})
    assert as_it_wrote_all(part_of(readable, {}).plain) == as_it_wrote_all(new.plain)
    held = {
        line.identity: {line.values} for line in read_lines(as_it_wrote_all(new.plain), CLOUD_ID)[0]
    }
    twice = [line for line in readable if line.values in held[line.identity]]
    assert part_of(twice, held).rows == 0, "an earlier part may hold it in the old spelling"


def as_it_wrote_all(plain: bytes) -> bytes:
    return b"\n".join(map(as_it_wrote, plain.splitlines()))


def test_a_state_of_the_version_before_knows_a_whole_number() -> None:
    reading = Reading(
        DEVICE, METER, Kind.DEMAND, HOUR.start, {"value": Decimal("10.0"), "unit": "kW"}, {}
    )
    state = UserState(recent={reading.stream: ((HOUR.start, '"value":10,"unit":"kW"'),)})
    assert is_logged(state, reading)
    assert after_logging(UserState(), [reading], HOUR.start).recent == state.recent
    assert is_logged(decode_state(encode_state(state)), reading)
