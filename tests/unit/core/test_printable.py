from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_logger.core.printable import harmless, harmless_json, harmless_lines, without_steering

STEERING = [
    "\x1b[2J",
    "\x9b2J",
    "\x85",
    "\u2028",
    "\u202e",
    "\u2066",
    "\u200f",
    "\x7f",
    "\ufeff",
    "\u061c",
]
UNSAFE = {"Cc", "Cf", "Zl", "Zp"}


@given(st.text())
def test_no_character_that_steers_a_terminal_is_left(text: str) -> None:
    assert not {unicodedata.category(letter) for letter in harmless(text)} & UNSAFE
    assert not set(harmless_lines(text)) & set("\x1b\x9b\x85\u2028\u202e\r")


@given(st.dictionaries(st.text(), st.text()))
def test_json_with_escapes_means_the_same(value: dict[str, str]) -> None:
    escaped = harmless_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(escaped) == value
    assert not set(escaped) & set("\x9b\x85\u2028\u202e")


@pytest.mark.parametrize("mark", STEERING)
def test_each_mark_that_steers_a_terminal_is_replaced(mark: str) -> None:
    assert mark[0] not in harmless(f"a{mark}b")
    assert mark[0] not in harmless_lines(f"a{mark}b")
    assert mark[0] not in harmless_json(json.dumps(mark, ensure_ascii=False))


def test_colours_and_line_breaks_of_the_program_stay_and_marks_are_replaced() -> None:
    assert (
        without_steering("\x1b[31mred\x1b[0m\n\t\u202eé")
        == "\x1b[31mred\x1b[0m\n\t\N{REPLACEMENT CHARACTER}é"
    )
