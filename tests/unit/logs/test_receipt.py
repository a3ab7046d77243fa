from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_logger.core.archive_index import IndexEntry
from eagle_logger.core.hours import Hour
from eagle_logger.core.paths import archive_key
from eagle_logger.logs.receipt import Receipt

FOUND = IndexEntry(archive_key("002738", Hour(0)), 2, 3, 4, 5, "c" * 64, "d" * 64)
hours = st.integers(0, 1_000_000).map(lambda number: Hour(number * 3600))
receipts = st.builds(
    Receipt,
    cloud_id=st.just("002738"),
    hour=hours,
    part=st.none() | st.integers(0, 99),
    key=st.none() | st.text(),
    rows=st.integers(0, 10_000),
    first=st.none() | st.integers(0, 4_000_000_000),
    last=st.none() | st.integers(0, 4_000_000_000),
    sha256_lines=st.text("0123456789abcdef", min_size=64, max_size=64),
    sha256_object=st.none() | st.text("0123456789abcdef", min_size=64, max_size=64),
    size=st.integers(0, 1_000_000),
    archived_at=st.floats(0, 4e9),
    found=st.sampled_from([(), (FOUND,)]),
)


@given(receipts)
def test_a_receipt_is_read_back_as_it_was_written(receipt: Receipt) -> None:
    text = receipt.to_json()
    assert text.endswith(b"\n")
    assert text.count(b"\n") == 1
    assert Receipt.from_json(text) == receipt


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b'{"v":2}',
        b'{"v":1}',
        b'{"v":1,"hour":"2026-03-10-17"}',
        b'{"v":1,"hour":"yesterday"}',
        b'{"v":1,"hour":3}',
        b"\xff\x00",
    ],
)
def test_a_file_that_no_version_wrote_is_no_receipt(text: bytes) -> None:
    with pytest.raises(ValueError):
        Receipt.from_json(text)


WHOLE = Receipt("002738", Hour(0), 0, "key", 1, 2, 3, "a" * 64, "b" * 64, 4, 5.0)


def test_unknown_members_of_a_receipt_are_ignored() -> None:
    more = {**json.loads(WHOLE.to_json()), "else": 1}
    assert Receipt.from_json(json.dumps(more).encode()) == WHOLE


@pytest.mark.parametrize("name", sorted(set(Receipt.__slots__) - {"found"}))
def test_a_receipt_with_a_member_of_a_wrong_type_is_refused(name: str) -> None:
    wrongs: tuple[object, ...] = ([], {}, True)
    for wrong in wrongs:
        other = {**json.loads(WHOLE.to_json()), name: wrong}
        with pytest.raises(ValueError, match=name):
            Receipt.from_json(json.dumps(other).encode())


@pytest.mark.parametrize("wrong", [{}, True, [1], [{}], [{"key": "elsewhere"}]])
def test_a_receipt_that_found_what_is_no_entry_of_an_index_is_refused(wrong: object) -> None:
    other = {**json.loads(WHOLE.to_json()), "found": wrong}
    with pytest.raises(ValueError):
        Receipt.from_json(json.dumps(other).encode())


def test_a_receipt_from_before_the_index_found_nothing() -> None:
    older = json.loads(WHOLE.to_json())
    del older["found"]
    assert Receipt.from_json(json.dumps(older).encode()) == WHOLE
