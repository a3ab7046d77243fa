from __future__ import annotations

from workers.process.archive_backoff import ArchiveBackoff


def test_an_archive_that_is_away_is_left_alone() -> None:
    rest = ArchiveBackoff()
    assert rest.covers("", is_away=True)
    assert not rest.covers("", is_away=False)


def test_a_round_that_was_left_in_part_is_left_to_its_end_for_its_older_hours_come_first() -> None:
    rest = ArchiveBackoff()
    assert rest.covers("first round", is_away=True)
    assert rest.covers("first round", is_away=False)
    assert not rest.covers("second round", is_away=False)


def test_a_round_that_went_by_before_the_archive_went_away_is_not_concerned() -> None:
    rest = ArchiveBackoff()
    assert not rest.covers("a round", is_away=False)
    assert not rest.covers("a round", is_away=False)
