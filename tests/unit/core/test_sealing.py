from __future__ import annotations

import gzip
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_logger.core.entries import Entry, read_entries, said
from eagle_logger.core.sealing import Part, opened, part_of
from tests.support.log_lines import CLOUD_ID, demand, demands, lines

some_lines = st.lists(lines(few=True), max_size=25)


def entries_of(*texts: bytes) -> list[Entry]:
    entries, unreadable = read_entries(b"\n".join(texts), CLOUD_ID)
    assert not unreadable
    return entries


def readings_of(plain: bytes) -> list[tuple[object, bytes]]:
    return [(entry.identity, entry.values) for entry in entries_of(plain)]


def test_lines_are_put_in_order() -> None:
    part = part_of(entries_of(demand(9, 1), demand(3, 2), demand(5, 3)), {})
    assert part.plain == demand(3, 2) + demand(5, 3) + demand(9, 1)
    assert (part.rows, part.first, part.last) == (3, "2026-03-10T17:00:03Z", "2026-03-10T17:00:09Z")


def test_of_equal_readings_the_first_that_arrived_is_kept() -> None:
    early, late = (demand(3, 2, arrived=1773162100 + seconds) for seconds in (0, 60))
    part = part_of(entries_of(late, early, late), {})
    assert (part.plain, part.duplicates) == (early, 2)


def test_one_identity_with_two_values_keeps_both_and_says_so() -> None:
    part = part_of(entries_of(demand(3, 2), demand(3, 4), demand(5, 1)), {})
    assert [json.loads(line)["flags"] for line in part.plain.splitlines()] == [["conflict"], ["conflict"], []]
    assert (part.rows, part.conflicts, part.duplicates) == (3, 2, 0)


def test_what_an_earlier_part_holds_is_left_out() -> None:
    earlier = part_of(entries_of(demands([1, 2, 3])), {})
    part = part_of(entries_of(demands([2, 3, 4, 4])), said(entries_of(earlier.plain)))
    assert (part.plain, part.archived, part.duplicates) == (demands([4]), 2, 1)


def test_a_value_that_differs_from_an_earlier_part_is_kept_and_flagged() -> None:
    part = part_of(entries_of(demand(1, 7)), said(entries_of(demand(1, 6))))
    assert (part.rows, part.conflicts) == (1, 1)
    assert b'"flags":["conflict"]' in part.plain


def test_nothing_new_is_an_empty_part() -> None:
    part = part_of(entries_of(demands([1])), said(entries_of(demands([1]))))
    assert (part.rows, part.plain, part.first, part.last) == (0, b"", "", "")


@given(some_lines, st.randoms())
def test_the_order_of_the_lines_does_not_matter(texts: list[bytes], random: object) -> None:
    shuffled = list(texts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert part_of(entries_of(*shuffled), {}) == part_of(entries_of(*texts), {})


@given(some_lines)
def test_sealing_what_is_sealed_changes_nothing(texts: list[bytes]) -> None:
    once = part_of(entries_of(*texts), {})
    again = part_of(entries_of(once.plain), {})
    assert (again.plain, again.duplicates) == (once.plain, 0)


@given(st.lists(some_lines, max_size=5))
def test_parts_together_hold_every_reading_exactly_once(files: list[list[bytes]]) -> None:
    parts: list[Part] = []
    for texts in files:
        parts.append(part_of(entries_of(*texts), said(entries_of(*(part.plain for part in parts)))))
    archived = [reading for part in parts for reading in readings_of(part.plain)]
    assert len(archived) == len(set(archived))
    assert set(archived) == {reading for texts in files for text in texts for reading in readings_of(text)}
    for part, texts in zip(parts, files, strict=True):
        assert part.rows + part.duplicates + part.archived == len(texts)


def test_the_object_is_plain_gzip_and_the_same_every_time() -> None:
    part = part_of(entries_of(demands(range(100))), {})
    body = part.compressed()
    assert body == part.compressed()
    assert gzip.decompress(body) == part.plain == opened(body)
    assert body[4:8] == b"\0\0\0\0"  # the time in gzip's header


def test_the_digest_is_that_of_the_plain_lines() -> None:
    part = part_of(entries_of(demands([1])), {})
    metadata = part.metadata(b"whatever the compressor made of it")
    assert metadata["plain-sha256"] == part.digest
    assert metadata["rows"] == "1"
    assert metadata["first-time"] == metadata["last-time"] == "2026-03-10T17:00:01Z"


def test_several_gzip_members_are_one_object() -> None:
    assert opened(gzip.compress(b"a\n") + gzip.compress(b"b\n")) == b"a\nb\n"


@pytest.mark.parametrize(
    "body",
    [b"", b"not gzip", gzip.compress(b"x" * 1000)[:-4], gzip.compress(b"x") + b"tail", zlib.compress(b"x")],
)
def test_what_is_not_whole_gzip_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"not gzip|cut short"):
        opened(body)
