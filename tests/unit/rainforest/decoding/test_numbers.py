from __future__ import annotations

import pytest

from eagle_logger.rainforest.decoding import numbers

MAC = "0xd8d5b9000000abcd"


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("0xD8D5B9000000ABCD", MAC),
        ("d8d5b9000000abcd", MAC),
        ("0x78100abcdef01", "0x00078100abcdef01"),
        (" 0xd8d5b9000000abcd\r\n", MAC),
        ("", ""),
        (None, ""),
        ("0xd8d5b9000000abcd00", ""),
        ("the meter", ""),
    ],
)
def test_a_mac_has_one_canonical_spelling(text: str | None, known: str) -> None:
    assert numbers.mac(text) == known
