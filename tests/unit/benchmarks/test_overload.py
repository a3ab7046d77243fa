from __future__ import annotations

from typing import Any

import pytest

from benchmarks.figures import Row
from benchmarks.overload import HEADINGS, table_rows, waits_between, what_falls_short

GOOD = {
    "homes": 1800,
    "visits": 1000,
    "visits_per_second": 100.0,
    "wait_mean": 18.0,
    "wait_longest": 20.0,
    "wait_longest_in_means": 1.1,
    "leases_unclaimed": 0,
    "ping_p50": 0.5,
    "ping_max": 0.9,
    "visited_every": 18.1,
}
CALM = {"late_after_two_rounds": 0}


def row(**differences: Any) -> Row:
    return Row("a load", 10.0, 1000, 0.5, 0.1, 0.1, 0.0, {}, {**GOOD, **differences})


def test_waits_are_between_two_visits_to_one_home_and_until_the_end() -> None:
    visits = [("a", 10.0), ("b", 11.0), ("a", 16.0), ("b", 31.0), ("idle", 12.0)]
    assert sorted(waits_between(visits, ["a", "b"])) == [0.0, 6.0, 15.0, 20.0]


def test_a_home_that_is_never_visited_has_waited_all_the_time() -> None:
    assert max(waits_between([("a", 10.0), ("a", 16.0)], ["a", "b"])) == 6.0
    assert waits_between([], ["a"]) == [float("inf")]


def test_nothing_falls_short_of_its_aim_when_all_is_calm() -> None:
    assert list(what_falls_short([row(), row(visits_per_second=96.0)], CALM)) == []
    assert len(HEADINGS) == len(table_rows([row()])[0])


@pytest.mark.parametrize(
    ("differences", "words"),
    [
        ({"visits_per_second": 90.0}, "90.0 visits a second, saturated 100.0"),
        ({"wait_longest_in_means": 1.6}, "the longest wait is 1.6 means"),
        ({"leases_unclaimed": 3}, "3 leases ran out unclaimed"),
        ({"ping_max": 1.2}, "an ad-hoc fetch took 1.2 s"),
    ],
)
def test_what_falls_short_is_named(differences: dict[str, Any], words: str) -> None:
    assert list(what_falls_short([row(**differences), row()], CALM)) == [f"a load: {words}"]


def test_homes_that_are_late_afterwards_are_named() -> None:
    [words] = what_falls_short([row()], {"late_after_two_rounds": 2})
    assert words == "afterwards: 2 late after two rounds"
