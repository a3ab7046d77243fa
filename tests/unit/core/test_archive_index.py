"""What an index object holds, and what is refused as one."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_logger.core import archive_index
from eagle_logger.core.archive_index import (
    MOST_ENTRIES,
    EncodedIndexPart,
    IndexEntry,
    IndexHead,
    IndexPart,
    decoded,
    next_index_part,
)
from eagle_logger.core.hours import Hour
from eagle_logger.core.paths import INDEX, IndexKey, archive_key, parse_archive_key
from eagle_logger.core.sealing import LARGEST_OBJECT
from tests.support.pages import Page

HOUR = Hour.parse("2026-03-10-17")
NODE = "0123456789ab"
NAME = IndexKey(HOUR, NODE, 0)


def entry(number: int = 0, part: int = 0, hour: Hour = HOUR) -> IndexEntry:
    return IndexEntry(
        key=archive_key(f"{number:06x}", hour, part),
        rows=600,
        first=hour.start,
        last=hour.end - 1,
        size=8713,
        plain_sha256="a" * 64,
        object_sha256="b" * 64,
    )


def body_of(*lines: bytes) -> bytes:
    return gzip.compress(b"".join(line + b"\n" for line in lines), mtime=0)


def part_of(*entries: IndexEntry, name: IndexKey = NAME, complete: bool = True) -> IndexPart:
    return IndexPart(IndexHead(name, len(entries), 0, complete), entries)


@given(
    st.lists(st.tuples(st.integers(0, 0xFFFFFF), st.integers(0, 12)), unique=True, max_size=20),
    st.integers(0, 9),
    st.booleans(),
)
def test_what_was_encoded_is_decoded(
    users: list[tuple[int, int]], waiting: int, complete: bool
) -> None:
    entries = [entry(number, part) for number, part in users]
    part = next_index_part(NAME, entries, waiting=waiting, complete=complete)
    assert decoded(EncodedIndexPart.of(part).body, NAME) == part
    assert list(part.entries) == sorted(entries)
    assert EncodedIndexPart.of(part) == EncodedIndexPart.of(
        next_index_part(NAME, reversed(entries), waiting=waiting, complete=complete)
    )


def test_the_lines_are_spelled_as_the_page_says() -> None:
    first, second = part_of(entry(0xCE69)).plain().splitlines()
    assert json.loads(first) == {
        "v": 1,
        "node": NODE,
        "hour": "2026-03-10-17",
        "number": 0,
        "entries": 1,
        "waiting": 0,
        "complete": True,
    }
    assert json.loads(second) == {
        "key": "cloud_id=00ce69/date=2026-03-10/00ce69-2026-03-10-17.jsonl.gz",
        "rows": 600,
        "first": "2026-03-10T17:00:00Z",
        "last": "2026-03-10T17:59:59Z",
        "size": 8713,
        "plain-sha256": "a" * 64,
        "object-sha256": "b" * 64,
    }


def test_the_page_shows_an_index_object() -> None:
    with Page("docs/reference/index.md", "json") as page:
        head, line = (page.next().strip().encode() for _ in range(2))
    part = decoded(body_of(head, line), NAME)
    assert (part.head.to_json(), part.entries[0].to_json()) == (head, line)


def test_more_entries_than_go_into_one_object_are_left_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(archive_index, "MOST_ENTRIES", 2)
    entries = [entry(number) for number in range(3)]
    part = next_index_part(NAME, entries, waiting=0, complete=True)
    assert (part.head.entries, part.head.complete, list(part.entries)) == (2, False, entries[:2])


def test_the_largest_index_object_can_be_read() -> None:
    largest = entry(0xFFFFFF, 10**6)
    longest = replace(largest, rows=10**9, size=10**9)
    assert MOST_ENTRIES * (len(longest.to_json()) + 1) < LARGEST_OBJECT / 2


def test_members_of_a_newer_version_are_ignored() -> None:
    head = json.loads(part_of(entry()).head.to_json()) | {"more": 1}
    line = json.loads(entry().to_json()) | {"more": [1]}
    body = body_of(json.dumps(head).encode(), json.dumps(line).encode())
    assert decoded(body, NAME) == part_of(entry())


HEAD = part_of().head.to_json()
LINE = entry().to_json()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"rubbish", "not gzip"),
        (EncodedIndexPart.of(part_of(entry())).body[:-9], "cut short"),
        (gzip.compress(HEAD, mtime=0), "last line is cut short"),
        (gzip.compress(b"", mtime=0), "last line is cut short"),
        (body_of(b"[]"), "not a line of an index"),
        (body_of(b"[" * 100_000), "nested too deep"),
        (body_of(HEAD.replace(b'"v":1', b'"v":2')), "not an index of version 1"),
        (body_of(HEAD.replace(b'"waiting":0,', b"")), "not the head of an index"),
        (body_of(HEAD.replace(b"true", b'"yes"')), "is no bool"),
        (body_of(HEAD.replace(b'"number":0', b'"number":1')), "it says that it is"),
        (body_of(HEAD, LINE), "it has 0 lines, and has 1"),
        (body_of(part_of(entry()).head.to_json(), b"{}"), "not a line of an index"),
        (
            body_of(part_of(entry()).head.to_json(), LINE.replace(b"aaaa", b"xaaa")),
            "is no SHA-256 in hex",
        ),
        (
            body_of(part_of(entry()).head.to_json(), LINE.replace(b'"rows":', b'"rows":-')),
            "negative",
        ),
        (
            body_of(part_of(entry()).head.to_json(), entry(hour=Hour(0)).to_json()),
            "no part of this hour",
        ),
        (
            body_of(part_of(entry()).head.to_json(), LINE.replace(b"cloud_id=", b"cloud/../")),
            "is no key of a part",
        ),
    ],
)
def test_what_is_no_whole_index_object_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        decoded(body, NAME)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_value_error(rubbish: bytes) -> None:
    for body in (rubbish, body_of(rubbish), body_of(HEAD, rubbish)):
        try:
            decoded(body, NAME)
        except ValueError:
            continue


def test_an_entry_is_made_from_the_metadata_of_an_object() -> None:
    metadata = {
        "schema-version": "1",
        "rows": "600",
        "first-time": "2026-03-10T17:00:00Z",
        "last-time": "2026-03-10T17:59:59Z",
        "plain-sha256": "a" * 64,
        "object-sha256": "b" * 64,
    }
    assert IndexEntry.from_metadata(entry().key, 8713, metadata) == entry()
    for name in metadata.keys() - {"schema-version"}:
        lacking = {other: value for other, value in metadata.items() if other != name}
        with pytest.raises(ValueError, match="its metadata lacks"):
            IndexEntry.from_metadata(entry().key, 8713, lacking)


def test_a_key_names_the_hour_the_node_and_the_number() -> None:
    name = IndexKey(HOUR, NODE, 3)
    assert name.key == "_index/date=2026-03-10/hour=17/0123456789ab.3.jsonl.gz"
    assert IndexKey.parse(name.key) == name
    assert IndexKey.parse(name.key.replace(NODE, "rebuilt")) == replace(name, node="rebuilt")


@pytest.mark.parametrize(
    "key",
    [
        archive_key("00ce69", HOUR),
        f"{INDEX}date=2026-03-10/hour=24/{NODE}.0.jsonl.gz",
        f"{INDEX}date=2026-02-30/hour=17/{NODE}.0.jsonl.gz",
        f"{INDEX}date=2026-03-10/hour=17/{NODE}.00.jsonl.gz",
        f"{INDEX}date=2026-03-10/hour=17/{NODE}.jsonl.gz",
        f"{INDEX}date=2026-03-10/hour=17/no-node.0.jsonl.gz",
    ],
)
def test_other_keys_name_no_index_object(key: str) -> None:
    assert IndexKey.parse(key) is None


def test_a_key_of_the_index_is_no_part() -> None:
    assert parse_archive_key(NAME.key) is None
