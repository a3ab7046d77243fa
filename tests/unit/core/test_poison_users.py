from __future__ import annotations

import pytest

from eagle_logger.core.poison_users import (
    PARKED_AFTER_DEATHS,
    SHORTEST_REST_S,
    are_few,
    are_too_many,
    deaths_after,
    is_poison,
    is_suspect,
    rest,
    wait,
)


def deaths_in_a_row(count: int, *, alone: bool) -> int:
    deaths = 0
    for _ in range(count):
        deaths = deaths_after(deaths, alone=alone)
    return deaths


def test_a_user_is_a_suspect_after_two_deaths() -> None:
    assert not is_suspect(deaths_in_a_row(1, alone=False))
    assert is_suspect(deaths_in_a_row(2, alone=False))


def test_only_deaths_at_which_a_suspect_was_alone_park_it() -> None:
    assert not is_poison(deaths_in_a_row(100, alone=False))
    assert not is_poison(deaths_in_a_row(PARKED_AFTER_DEATHS - 1, alone=True))
    assert is_poison(deaths_in_a_row(PARKED_AFTER_DEATHS, alone=True))


@pytest.mark.parametrize(
    ("suspects", "users", "too_many"),
    [
        (1, 1, False),
        (3, 4, False),
        (4, 8, False),
        (5, 8, True),
        (60, 30000, False),
        (61, 30000, True),
    ],
)
def test_more_than_half_of_all_users_or_than_a_minute_takes_are_too_many(
    suspects: int, users: int, *, too_many: bool
) -> None:
    assert are_too_many(suspects, users) is too_many


@pytest.mark.parametrize(
    ("suspects", "users", "few"),
    [(3, 4, True), (4, 30, False), (4, 40, True), (60, 30000, True), (61, 30000, False)],
)
def test_the_deaths_of_up_to_a_tenth_of_all_users_count(
    suspects: int, users: int, *, few: bool
) -> None:
    assert are_few(suspects, users) is few


def test_suspects_come_back_spread_over_ten_seconds_and_in_another_order_each_time() -> None:
    ids = [f"{number:06x}" for number in range(97)]
    orders = set()
    for now in range(1_767_225_600, 1_767_225_696):
        rests = {cloud_id: rest(cloud_id, now) for cloud_id in ids}
        assert min(rests.values()) == SHORTEST_REST_S
        assert max(rests.values()) < SHORTEST_REST_S + 10
        orders.add(tuple(sorted(ids, key=rests.__getitem__)))
    assert len(orders) == 96


def test_suspects_that_wait_are_looked_at_after_about_a_second_in_another_order_each_time() -> None:
    waits = {now: [wait(cloud_id, now) for cloud_id in ("000001", "000002")] for now in range(96)}
    assert 0.5 <= min(map(min, waits.values())) <= max(map(max, waits.values())) < 1.5
    assert {first < second for first, second in waits.values()} == {True, False}
