from __future__ import annotations

from workers.process.archive_backoff import ArchiveBackoff


def test_an_archive_that_is_away_is_left_alone_until_it_is_back() -> None:
    backoff = ArchiveBackoff()
    assert backoff.skips_round("", archive_is_away=True)
    assert not backoff.skips_round("", archive_is_away=False)


def test_the_rest_of_a_round_is_left_because_its_older_hours_come_first() -> None:
    backoff = ArchiveBackoff()
    assert backoff.skips_round("first round", archive_is_away=True)
    assert backoff.skips_round("first round", archive_is_away=False)
    assert not backoff.skips_round("second round", archive_is_away=False)


def test_a_round_is_archived_while_the_archive_answers() -> None:
    backoff = ArchiveBackoff()
    assert not backoff.skips_round("a round", archive_is_away=False)
    assert not backoff.skips_round("a round", archive_is_away=False)
