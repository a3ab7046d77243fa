from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_logger.core import line_parser as line_parser_module
from eagle_logger.core.line_format import parse_line
from eagle_logger.core.line_parser import (
    LogLine,
    _all_canonical,
    _parsed,
    _read_one_by_one,
    read_entries,
    read_entry,
    said,
)
from tests.support.log_lines import CLOUD_ID, demand, lines

LINE = demand(61, "0.944").rstrip(b"\n")


@given(lines())
def test_the_short_way_and_the_parser_read_the_same(text: bytes) -> None:
    assert (CLOUD_ID.encode(), read_entry(text, CLOUD_ID)) == _parsed(text)


def test_a_line_as_we_write_it_takes_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(line_parser_module, "parse_line")
    entry = read_entry(LINE, CLOUD_ID)
    assert entry.identity == (
        b"2026-03-10T17:01:01Z",
        b"0xd8d5b9000000abcd",
        b"0x0013500100000001",
        b"demand",
    )
    assert entry.values == b'"value":0.944,"unit":"kW"'
    assert entry.arrived == b"2026-03-10T17:01:06.000Z"
    assert entry.text == LINE


@given(lines(), st.data())
def test_damage_is_judged_as_the_parser_judges_it(text: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(text) - 1))
    byte = data.draw(st.sampled_from(b'0123456789abx",:{}[]\\ \x00\xff'))
    damaged = data.draw(
        st.sampled_from(
            [text[:at], text[:at] + bytes([byte]) + text[at + 1 :], text[:at] + text[at + 1 :]]
        )
    )
    assert _judged(lambda: ("", read_entry(damaged, _owner(damaged)))[1]) == _judged(
        lambda: _parsed(damaged)[1]
    )


@given(st.lists(lines(), max_size=5), st.data())
def test_all_at_once_and_one_by_one_is_the_same(texts: list[bytes], data: st.DataObject) -> None:
    content = b"\n".join(texts) + data.draw(st.sampled_from([b"", b"\n", b"\n\n", b"\n{"]))
    at = data.draw(st.integers(0, len(content)))
    damaged = (
        content[:at]
        + data.draw(st.sampled_from([b"", b"\n", b'"', b"{", b"\xff"]))
        + content[at + 1 :]
    )
    for one in (content, damaged):
        assert read_entries(one, CLOUD_ID) == _read_one_by_one(one, CLOUD_ID)


def test_a_file_as_we_write_it_is_read_in_one_pass() -> None:
    content = b"".join(demand(second, second) for second in range(1, 50))
    assert _all_canonical(content, CLOUD_ID) == _read_one_by_one(content, CLOUD_ID)[0]
    assert _all_canonical(content, "00ce69") is None
    assert (
        _all_canonical(content.replace(b"2026-03-10T17:00:07Z", b"2026-02-30T17:00:07Z"), CLOUD_ID)
        is None
    )


def _owner(text: bytes) -> str:
    try:
        return parse_line(text).cloud_id
    except (ValueError, ArithmeticError):
        return CLOUD_ID


def _judged(read: object) -> LogLine | None:
    try:
        return read()  # type: ignore[operator, no-any-return]
    except (ValueError, ArithmeticError):
        return None


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
def test_what_we_did_not_write_is_refused_with_a_reason(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_entry(text, CLOUD_ID)


def test_a_line_of_another_user_is_refused() -> None:
    with pytest.raises(ValueError, match="a line of the user 002738"):
        read_entry(LINE, "00ce69")


def test_another_spelling_of_the_same_line_is_the_same_reading() -> None:
    spelled = (
        json.dumps(json.loads(LINE), indent=1)
        .replace("\n", " ")
        .replace("0.944", "0.94400")
        .encode()
    )
    assert read_entry(spelled, CLOUD_ID)[:6] == read_entry(LINE, CLOUD_ID)[:6]


def test_unreadable_lines_are_set_apart_and_the_rest_is_read() -> None:
    entries, unreadable = read_entries(
        LINE + b"\nrubbish\n\n" + demand(62, 1) + b'{"v":1,"clou', CLOUD_ID
    )
    assert [entry.time for entry in entries] == [b"2026-03-10T17:01:01Z", b"2026-03-10T17:01:02Z"]
    assert [text for text, _ in unreadable] == [b"rubbish", b'{"v":1,"clou']


def test_a_whole_line_behind_a_torn_one_is_read() -> None:
    entries, unreadable = read_entries(LINE[:70] + LINE, CLOUD_ID)
    assert [entry.text for entry in entries] == [LINE]
    assert [text for text, _ in unreadable] == [LINE[:70]]


def test_said_gathers_the_values_of_an_identity() -> None:
    entries, _ = read_entries(demand(1, 1) + demand(1, 2) + demand(2, 1), CLOUD_ID)
    assert sorted(len(values) for values in said(entries).values()) == [1, 2]
