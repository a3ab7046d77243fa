from __future__ import annotations

from eagle_logger.rotation import Rotated
from workers.resting import PATIENCE, REST, Rest

AWAY = Rotated(cloud_ids=("00ce69",), deferred=1, errors={"00ce69": "s3://x answered 503"})
TOLD_TO_STOP = Rotated(cloud_ids=("00ce69",), deferred=5)
WELL = Rotated(cloud_ids=("00ce69",), objects=1)


def after(*several: Rotated) -> Rest:
    rest = Rest()
    for rotated in several:
        rest.note(rotated, 100.0)
    return rest


def test_an_archive_that_took_nothing_for_some_shards_in_a_row_is_left_alone_for_a_moment() -> None:
    rest = after(*[AWAY] * PATIENCE)
    assert rest.covers("", 100.0)
    assert not rest.covers("", 100.0 + REST)


def test_one_success_in_between_means_that_it_is_there() -> None:
    assert not after(AWAY, AWAY, WELL, AWAY, AWAY).covers("", 100.0)


def test_a_shard_left_because_it_is_time_to_stop_says_nothing_about_the_archive() -> None:
    assert not after(*[TOLD_TO_STOP] * PATIENCE).covers("", 100.0)


def test_the_first_failure_after_a_rest_is_enough_for_another() -> None:
    rest = after(*[AWAY] * PATIENCE)
    rest.note(AWAY, 100.0 + REST)
    assert rest.covers("", 100.0 + REST)


def test_a_round_that_was_left_in_part_is_left_to_its_end_for_its_older_hours_come_first() -> None:
    rest = after(*[AWAY] * PATIENCE)
    assert rest.covers("first round", 100.0)
    assert rest.covers("first round", 100.0 + REST)
    assert not rest.covers("second round", 100.0 + REST)


def test_a_round_that_went_by_before_the_rest_began_is_not_concerned() -> None:
    rest = Rest()
    assert not rest.covers("a round", 99.0)
    assert not rest.covers("a round", 100.0)
