"""Which texts a header carries unchanged."""

from __future__ import annotations

import re

import pytest

from eagle_logger.core.sendable import PATTERN, sendable


@pytest.mark.parametrize("text", ["a", "a b", "ü@example.org", "a\x85b", "a\ufeffb", "x" * 256])
def test_a_text_that_a_header_carries_is_returned(text: str) -> None:
    assert sendable(text) == text
    assert re.search(PATTERN, text)


@pytest.mark.parametrize(
    "text", ["", "\n", "a\x00", "a\x7fb", " a", "a\t", "\x854", "a\ufeff", "a\u2003"]
)
def test_a_text_that_no_header_carries_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must (have|not begin or end)"):
        sendable(text)
    assert not re.search(PATTERN, text)


def test_the_message_never_repeats_the_text() -> None:
    with pytest.raises(ValueError, match="must") as caught:
        sendable(" hunter2")
    assert "hunter2" not in str(caught.value)
