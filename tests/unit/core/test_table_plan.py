"""Plans and manifests of day tables, and when a day is complete."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_logger.core.archive_index import REBUILT, IndexEntry, IndexHead
from eagle_logger.core.paths import IndexKey
from eagle_logger.core.sealing import LARGEST_OBJECT
from eagle_logger.core.table_names import Day, TableFile
from eagle_logger.core.table_plan import (
    BUILT_ANYWAY_AFTER_S,
    LATE_AFTER_S,
    LOOKED_BACK_DAYS,
    MOST_OBJECTS,
    TableInput,
    TableManifest,
    TablePlan,
    days_looked_at,
    is_built_anyway,
    is_late,
    is_stated_complete,
    new_inputs,
    waiting_days,
)

DAY = Day("2026-03-10")
FILE = TableFile(DAY, 0, 0)
INPUT = TableInput("00ce69", DAY.hours[17], 0, 600, "ab" * 32)
OTHER = TableInput("00ce69", DAY.hours[17], 1, 3, "cd" * 32)
PLAN = TablePlan(
    FILE,
    buckets=1,
    inputs=(INPUT, OTHER),
    refused={OTHER.key: "too many places"},
    rows=600,
    row_hash="0f" * 16,
    first=1,
    last=2,
    index=("_index/date=2026-03-10/hour=17/0123456789ab.0.jsonl.gz",),
    made_by="1.2",
)


def test_a_plan_is_read_as_it_was_written() -> None:
    assert TablePlan.from_bytes(PLAN.to_bytes(), FILE) == PLAN
    assert PLAN.to_bytes() == PLAN.to_bytes()


def test_a_manifest_is_read_as_it_was_written() -> None:
    manifest = TableManifest(FILE, PLAN.head, 7000, "ef" * 32)
    read = TableManifest.from_bytes(manifest.to_bytes(), FILE)
    assert read == manifest
    assert (read.rows, read.index, read.refused) == (600, PLAN.index, PLAN.refused)


def test_the_largest_plan_can_be_read() -> None:
    inputs = tuple(
        TableInput(f"{number:06x}", DAY.hours[23], 10_000, 100_000, "ab" * 32)
        for number in range(1000)
    )
    plain = gzip.decompress(replace(PLAN, inputs=inputs, refused={}).to_bytes())
    assert len(plain) / 1000 * MOST_OBJECTS < LARGEST_OBJECT * 0.75


def test_what_a_file_holds_has_one_digest() -> None:
    others = (
        replace(PLAN, inputs=(INPUT,)),
        replace(PLAN, refused={}),
        replace(PLAN, with_raw=True),
        replace(PLAN, inputs=(replace(INPUT, plain_sha256="00" * 32), OTHER)),
    )
    assert len({PLAN.digest, *(other.digest for other in others)}) == 5
    assert replace(PLAN, index=(), made_by="2.0", buckets=8).digest == PLAN.digest


def spoiled(**members: Any) -> bytes:
    head, *lines = gzip.decompress(PLAN.to_bytes()).decode().splitlines()
    changed = {**json.loads(head), **members}
    text = "\n".join([json.dumps(changed), *lines]) + "\n"
    return gzip.compress(text.encode(), mtime=0)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nothing",
        gzip.compress(b"", mtime=0),
        gzip.compress(b"[]\n", mtime=0),
        gzip.compress(b'{"v":1}\n', mtime=0),
        gzip.compress(b"[" * 100_000, mtime=0),
        PLAN.to_bytes()[:-9],
        spoiled(v=2),
        spoiled(number=1),
        spoiled(date="2026-03-11"),
        spoiled(objects=3),
        spoiled(refused=None),
        spoiled(refused={}),
        spoiled(**{"inputs-digest": "ab" * 32}),
        gzip.compress(gzip.decompress(PLAN.to_bytes()).replace(b"00ce69", b"00CE6X")),
        gzip.compress(gzip.decompress(PLAN.to_bytes()).replace(b'",17,0', b'",99,0')),
    ],
)
def test_anything_else_is_no_plan(body: bytes) -> None:
    with pytest.raises(ValueError):
        TablePlan.from_bytes(body, FILE)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"\xff", b'{"v":1,"date":"2026-03-10","bucket":0,"number":0}']
)
def test_anything_else_is_no_manifest(body: bytes) -> None:
    with pytest.raises(ValueError):
        TableManifest.from_bytes(body, FILE)


def test_what_the_index_says_of_an_object() -> None:
    entry = IndexEntry(INPUT.key, 600, 0, 1, 99, INPUT.plain_sha256, "ef" * 32)
    assert TableInput.of(entry) == INPUT
    with pytest.raises(ValueError, match="no key of a part"):
        TableInput.of(replace(entry, key="elsewhere"))


def test_only_what_no_plan_names_is_new_and_two_claims_about_it_are_both_kept() -> None:
    other_claim = replace(INPUT, rows=599)
    named = [INPUT, OTHER, other_claim, INPUT]
    assert new_inputs(named, {OTHER.key}) == {INPUT.key: [other_claim, INPUT]}
    assert new_inputs(named, {INPUT.key, OTHER.key}) == {}


def head(node: str, hour: int, *, complete: bool = True) -> IndexHead:
    return IndexHead(IndexKey(DAY.hours[hour], node, 0), 0, waiting=0, complete=complete)


def test_a_day_is_complete_once_each_known_node_has_stated_each_hour() -> None:
    one, two = "0" * 12, "1" * 12
    all_of_one = [head(one, hour) for hour in range(24)]
    all_of_two = [head(two, hour) for hour in range(24)]
    assert is_stated_complete(all_of_one, [one], DAY)
    assert is_stated_complete(all_of_one, [], DAY)
    assert is_stated_complete([*all_of_one, *all_of_two], [one, two], DAY)
    assert not is_stated_complete(all_of_one, [one, two], DAY)
    assert not is_stated_complete(all_of_one[1:], [one], DAY)
    assert not is_stated_complete([*all_of_one, head(two, 3, complete=False)], [one], DAY)
    assert is_stated_complete([*all_of_one, head(REBUILT, 3, complete=False)], [one], DAY)
    assert not is_stated_complete([], [], DAY)


def test_a_day_is_built_anyway_two_hours_after_its_end() -> None:
    assert not is_built_anyway(DAY, DAY.end + 7199)
    assert is_built_anyway(DAY, DAY.end + 7200)
    assert BUILT_ANYWAY_AFTER_S == 26 * 3600


@given(st.integers(0, 2**32))
def test_days_before_today_are_looked_at(now: int) -> None:
    days = days_looked_at(float(now))
    assert len(days) == len(set(days)) == LOOKED_BACK_DAYS
    assert days == sorted(days)
    assert days[-1].end == Day.of(now).start


def test_a_note_says_since_when_which_days_wait() -> None:
    note: dict[str, str | int | float] = {
        "at": 5.0,
        "by": "tables",
        "2026-03-10": 7.0,
        "2026-03-09": 9,
        "2026-03-11": "soon",
    }
    waiting = waiting_days(note)
    assert list(waiting.items()) == [(Day("2026-03-09"), 9.0), (Day("2026-03-10"), 7.0)]
    assert not is_late(7.0, 7.0 + LATE_AFTER_S)
    assert is_late(7.0, 8.0 + LATE_AFTER_S)
