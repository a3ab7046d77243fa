"""What a log volume keeps of the archive's index."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from eagle_logger.core.archive_index import EncodedIndexPart, IndexEntry, next_index_part
from eagle_logger.core.hours import Hour
from eagle_logger.core.paths import IndexKey, archive_key
from eagle_logger.errors import DiskUnavailable
from eagle_logger.logs.index_copies import IndexCopies, IndexState
from tests.support.log_lines import HOUR

NAME = IndexKey(HOUR, "0123456789ab", 0)
KEYS = frozenset(archive_key(f"{number:06x}", HOUR) for number in range(3))
BODY = EncodedIndexPart.of(
    next_index_part(
        NAME,
        [IndexEntry(key, 1, HOUR.start, HOUR.start, 9, "a" * 64, "b" * 64) for key in KEYS],
        waiting=0,
        complete=True,
    )
).body


@pytest.fixture
def copies(tmp_path: Path) -> IndexCopies:
    return IndexCopies(tmp_path)


def test_a_copy_names_the_keys_of_its_index_object(copies: IndexCopies) -> None:
    assert (copies.keys_in(HOUR), copies.names(HOUR), copies.read(NAME)) == (frozenset(), [], None)
    copies.keep(NAME, BODY)
    assert (copies.keys_in(HOUR), copies.names(HOUR), copies.read(NAME)) == (KEYS, [NAME], BODY)
    assert copies.hours() == [HOUR]


def test_a_copy_that_was_damaged_names_nothing_and_is_replaced(
    copies: IndexCopies, tmp_path: Path
) -> None:
    copies.keep(NAME, BODY)
    [path] = (tmp_path / "indexed").rglob("*.gz")
    path.write_bytes(BODY[:-9])
    os.utime(path, ns=(1, 1))
    assert copies.keys_in(HOUR) == frozenset()
    copies.keep(NAME, BODY)
    assert copies.keys_in(HOUR) == KEYS


def test_the_first_hour_is_written_once(copies: IndexCopies, tmp_path: Path) -> None:
    later = Hour(HOUR.end)
    assert (copies.since(HOUR), copies.since(later)) == (HOUR, HOUR)
    (tmp_path / "indexed" / "since").write_bytes(b"\xffrubbish")
    assert copies.since(later) == later
    assert copies.since(HOUR) == HOUR  # what a wrong clock wrote is not believed


def test_a_state_is_found_again_and_rubbish_is_no_state(
    copies: IndexCopies, tmp_path: Path
) -> None:
    assert copies.state(HOUR) == IndexState()
    state = IndexState({"07": 1}, complete=True, unindexed_since=HOUR.end + 0.5)
    copies.note_state(HOUR, state)
    assert copies.state(HOUR) == state
    wrong_moment = b'{"shards": {}, "complete": true, "unindexed_since": []}'
    for rubbish in (b"", b"[]", b'{"shards": 1, "complete": true}', wrong_moment):
        (tmp_path / "indexed" / HOUR.name / "state.json").write_bytes(rubbish)
        assert copies.state(HOUR) == IndexState()


def test_a_folder_that_has_just_changed_has_no_time_of_change(
    copies: IndexCopies, tmp_path: Path
) -> None:
    folder = tmp_path / HOUR.name / "07"
    folder.mkdir(parents=True)
    assert copies.shards_changed_at(HOUR) == {"07": 0}
    os.utime(folder, ns=(7, 7))
    assert copies.shards_changed_at(HOUR) == {"07": 7}
    assert copies.shards_changed_at(Hour(0)) == {}


def test_only_one_process_writes_the_copies(copies: IndexCopies, tmp_path: Path) -> None:
    with copies.locked() as is_ours, IndexCopies(tmp_path).locked() as is_theirs:
        assert (is_ours, is_theirs) == (True, False)
    with copies.locked() as is_ours:
        assert is_ours


def test_what_a_killed_process_left_is_cleared_away(copies: IndexCopies, tmp_path: Path) -> None:
    copies.keep(NAME, BODY)
    left = [tmp_path / "indexed" / ".since.1.new", tmp_path / "indexed" / HOUR.name / ".0.1.new"]
    for path in left:
        path.write_bytes(b"half")
    with copies.locked():
        assert not any(path.exists() for path in left)
    assert copies.names(HOUR) == [NAME]


def test_copies_are_forgotten_hour_by_hour(copies: IndexCopies) -> None:
    other = IndexKey(Hour(HOUR.end), NAME.node, 0)
    copies.keep(NAME, BODY)
    copies.keep(other, BODY)
    copies.forget(HOUR)
    copies.forget(HOUR)
    assert (copies.hours(), copies.names(other.hour)) == ([other.hour], [other])


def test_a_volume_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "indexed").write_text("in the way")
    with pytest.raises(DiskUnavailable), IndexCopies(tmp_path).locked():
        pass
