from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_logger.core import line_parser
from eagle_logger.core.line_format import parse_line
from eagle_logger.core.line_parser import LogLine, read_line, read_lines, values_by_identity
from tests.support.log_lines import CLOUD_ID, demand, lines

LINE = demand(61, "0.944").rstrip(b"\n")


def read_by_the_json_parser(text: bytes, cloud_id: str = CLOUD_ID) -> LogLine:
    """The same line with a blank before it is not canonical, so the expressions do not match it."""
    return read_line(b" " + text, cloud_id)._replace(text=text)


@given(lines())
def test_the_expression_and_the_json_parser_read_the_same(text: bytes) -> None:
    assert read_line(text, CLOUD_ID) == read_by_the_json_parser(text)


def test_a_canonical_line_is_read_without_the_json_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(line_parser, "parse_line")
    line = read_line(LINE, CLOUD_ID)
    assert line.identity == (
        b"2026-03-10T17:01:01Z",
        b"0xd8d5b9000000abcd",
        b"0x0013500100000001",
        b"demand",
    )
    assert line.values == b'"value":0.944,"unit":"kW"'
    assert line.arrived == b"2026-03-10T17:01:06.000Z"
    assert line.text == LINE


@given(lines(), st.data())
def test_a_damaged_line_is_judged_as_the_json_parser_judges_it(
    text: bytes, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(text) - 1))
    byte = data.draw(st.sampled_from(b'0123456789abx",:{}[]\\ \x00\xff'))
    damaged = data.draw(
        st.sampled_from(
            [text[:at], text[:at] + bytes([byte]) + text[at + 1 :], text[:at] + text[at + 1 :]]
        )
    )
    try:
        owner = parse_line(damaged).cloud_id
        expected = read_by_the_json_parser(damaged, owner)
    except (ValueError, ArithmeticError):
        with pytest.raises((ValueError, ArithmeticError)):
            read_line(damaged, CLOUD_ID)
    else:
        assert read_line(damaged, owner) == expected


@pytest.mark.parametrize(
    "text",
    [
        LINE.replace(b"2026-03-10T17:01:01Z", b"2026-02-30T17:01:01Z"),
        LINE.replace(b'"v":1', b'"v":0'),
        LINE.replace(b'"v":1', b'"v":2').replace(b'"meter"', b'"meters"'),
        LINE.replace(b'"kind":"demand"', b'"kind":"Gas!"'),
        LINE[:-1],
        LINE + b"}",
        b"null",
        b"[" * 100_000,
        b"\xff\xfe",
        b"\x00" * 40,
    ],
)
def test_a_line_that_no_version_wrote_is_refused_with_a_reason(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_line(text, CLOUD_ID)


def test_a_line_of_another_user_is_refused() -> None:
    with pytest.raises(ValueError, match="a line of the user 002738"):
        read_line(LINE, "00ce69")


def test_another_spelling_of_a_line_is_the_same_reading() -> None:
    spelled = json.dumps(json.loads(LINE), indent=1).replace("\n", " ").replace("0.944", "0.94400")
    assert read_line(spelled.encode(), CLOUD_ID)[:6] == read_line(LINE, CLOUD_ID)[:6]


def test_unreadable_lines_are_set_apart_and_the_others_are_read() -> None:
    content = LINE + b"\nrubbish\n\n" + demand(62, 1) + b'{"v":1,"clou'
    readable, unreadable = read_lines(content, CLOUD_ID)
    assert [line.time for line in readable] == [b"2026-03-10T17:01:01Z", b"2026-03-10T17:01:02Z"]
    assert [text for text, _ in unreadable] == [b"rubbish", b'{"v":1,"clou']


def test_a_whole_line_behind_a_torn_one_is_read() -> None:
    readable, unreadable = read_lines(LINE[:70] + LINE, CLOUD_ID)
    assert [line.text for line in readable] == [LINE]
    assert [text for text, _ in unreadable] == [LINE[:70]]


def test_two_values_of_one_identity_are_gathered() -> None:
    readable, _ = read_lines(demand(1, 1) + demand(1, 2) + demand(2, 1), CLOUD_ID)
    assert sorted(len(values) for values in values_by_identity(readable).values()) == [1, 2]
