"""The breaker, second by second, over a fleet whose relay fails as a test wishes."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_logger.core.circuit_breaker import (
    Breaker,
    FleetLoad,
    Phase,
    Sample,
    breaker_after,
    most_to_lease,
    relay_sample,
)
from eagle_logger.core.schedule import most_per_tick, pause_after_failures, stable_fraction


@dataclass
class Home:
    due: float
    failures: int = 0


@dataclass
class World:
    """Homes visited every six seconds by a dispatcher of one tick a second. `away` is the share of
    homes that the relay does not answer for."""

    size: int
    away: float = 0.0
    at: float = 0.0
    visited: list[int] = field(default_factory=list)
    visits: int = 0
    failed: int = 0
    breaker: Breaker = field(default_factory=Breaker)

    def __post_init__(self) -> None:
        self.homes = {number: Home(6.0 * number / self.size) for number in range(self.size)}

    def second(self) -> None:
        self.at += 1
        fleet = self.fleet()
        ordinary = most_per_tick(self.size, 6.0, fleet.overdue)
        self.breaker = breaker_after(
            self.breaker, Sample(self.at, self.visits, self.failed), fleet, ordinary
        )
        due = sorted(
            (home.due, number) for number, home in self.homes.items() if home.due <= self.at
        )
        leased = due[: most_to_lease(self.breaker, self.at, fleet, ordinary)]
        for _, number in leased:
            self.visit(number)
        self.visited.append(len(leased))

    def visit(self, number: int) -> None:
        home = self.homes[number]
        self.visits += 1
        if stable_fraction(str(number)) < self.away:
            self.failed += 1
            if self.breaker.phase is Phase.CLOSED:
                home.failures += 1
            pause = pause_after_failures(home.failures, 6.0, str(number))
        else:
            home.failures, pause = 0, 0.0
        home.due = self.at + 6 + pause

    def fleet(self) -> FleetLoad:
        late = self.at - min(home.due for home in self.homes.values())
        return FleetLoad(
            self.size, sum(home.failures > 0 for home in self.homes.values()), 6.0, max(0.0, late)
        )

    def run(self, seconds: int) -> list[int]:
        """How many users were visited in each of these seconds."""
        before = len(self.visited)
        for _ in range(seconds):
            self.second()
        return self.visited[before:]

    def phase(self) -> Phase:
        return self.breaker.phase


@pytest.mark.parametrize("size", [20, 100, 3000])
def test_the_breaker_opens_while_the_relay_is_away_and_closes_when_it_is_back(size: int) -> None:
    world = World(size)
    world.run(30)
    assert world.phase() is Phase.CLOSED

    world.away = 1.0
    world.run(25)
    assert world.phase() is Phase.OPEN
    gentle = max(1, ceil(size / 6 / 100))
    assert max(world.run(600)) == gentle, "while it is away, a few users a second are visited"

    world.away = 0.0
    returning = world.run(25)
    assert world.phase() is Phase.CLOSED
    assert max(returning) <= max(100, ceil(1.5 * size / 6)), (
        "the fleet does not come back all at once"
    )
    assert all(later <= max(4, 4 * earlier) for earlier, later in pairwise(returning))
    assert min(home.due for home in world.homes.values()) > world.at - 10, (
        "every user is visited in time again"
    )
    assert max(home.due for home in world.homes.values()) <= world.at + 6


@pytest.mark.parametrize("away", [0.01, 0.1, 0.5])
def test_the_breaker_stays_closed_while_a_share_of_the_homes_fails(away: float) -> None:
    world = World(200, away=away)
    for _ in range(300):
        world.second()
        assert world.phase() is Phase.CLOSED


@pytest.mark.parametrize("size", [1, 2])
def test_one_home_or_two_never_open_the_breaker(size: int) -> None:
    world = World(size, away=1.0)
    for _ in range(2000):
        world.second()
        assert world.phase() is Phase.CLOSED


def test_one_home_that_is_visited_far_more_often_than_all_others_never_opens_the_breaker() -> None:
    """Nearly every visit fails, and they are all one home's."""
    breaker, fleet = Breaker(), FleetLoad(users=50, failing=1, period=6.0)
    for second in range(100):
        breaker = breaker_after(breaker, Sample(second, 20 * second, 20 * second), fleet, 50)
        assert breaker.phase is Phase.CLOSED


def test_a_returning_breaker_opens_again_when_the_next_visits_fail() -> None:
    world = World(3000, away=1.0)
    world.run(30)
    world.away = 0.0
    while world.phase() is not Phase.RETURNING:
        world.second()
    world.away = 1.0
    world.run(5)
    assert world.phase() is Phase.OPEN
    assert max(world.run(60)) == 5


def test_one_answer_in_three_does_not_close_the_breaker() -> None:
    breaker = Breaker(Phase.OPEN, 0.0, (Sample(0.0, 0, 0),))
    fleet = FleetLoad(users=100, failing=100, period=6.0, overdue=60.0)
    for second in range(1, 60):
        breaker = breaker_after(breaker, Sample(second, second, second - second // 3), fleet, 100)
        assert breaker.phase is Phase.OPEN


def test_counters_that_went_back_do_not_open_the_breaker() -> None:
    breaker = Breaker(samples=(Sample(0.0, 900, 10), Sample(5.0, 1000, 10)))
    breaker = breaker_after(
        breaker, Sample(6.0, 3, 3), FleetLoad(users=10, failing=10, period=6.0), 10
    )
    assert breaker == Breaker(samples=(Sample(6.0, 3, 3),))


def test_failures_that_are_not_the_relays_do_not_count() -> None:
    tally = {
        "fetches": 100,
        "failed_fetches": 60,
        "failed_no_key": 30,
        "failed_internal_error": 10,
        "failed_busy": 20,
    }
    assert relay_sample(7.0, tally) == Sample(7.0, 60, 20)


@given(
    st.lists(st.tuples(st.integers(0, 40), st.floats(0, 1), st.floats(0.5, 60)), max_size=80),
    st.integers(0, 500),
    st.integers(0, 500),
)
def test_in_every_phase_a_user_is_visited_and_few_samples_are_remembered(
    seconds: list[tuple[int, float, float]], users: int, failing: int
) -> None:
    breaker, at, visits, failed = Breaker(), 0.0, 0, 0
    fleet = FleetLoad(users, min(users, failing), 6.0)
    for more, part, passed in seconds:
        at, visits, failed = at + passed, visits + more, failed + int(more * part)
        breaker = breaker_after(breaker, Sample(at, visits, failed), fleet, users)
        assert most_to_lease(breaker, at, fleet, users) >= min(1, users)
        assert most_to_lease(breaker, at, fleet, users) <= users
        assert len(breaker.samples) <= 40


@pytest.mark.parametrize("phase", Phase)
def test_the_breaker_closes_after_the_clock_was_set_back(phase: Phase) -> None:
    breaker = Breaker(phase, 7000.0, (Sample(7100.0, 50, 50),))
    fleet = FleetLoad(users=100, failing=100, period=6.0)
    for second in range(1, 60):
        breaker = breaker_after(breaker, Sample(3500.0 + second, 50 + 10 * second, 50), fleet, 100)
    assert breaker.phase is Phase.CLOSED
    assert len(breaker.samples) < 20
