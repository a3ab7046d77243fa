"""More homes than the workers can visit. The homes are in memory, and the workers take them from
the line at a fixed pace, so that no figure here depends on a machine."""

from __future__ import annotations

import math
from collections import Counter, deque
from itertools import pairwise

import pytest
import structlog

from eagle_logger.core.kinds import Kind
from eagle_logger.core.overload import LONGEST_WAIT_IN_LEASES
from eagle_logger.core.schedule import Grid, visit_phase
from eagle_logger.core.user_state import after_success
from eagle_logger.fetching.admission import Admission
from eagle_logger.users.memory.store import memory_store
from eagle_logger.users.store import Claim, Report
from tests.support.hand_clock import HandClock
from tests.support.set_membership import breaches
from tests.support.users import new_user

PERIOD, LEASE = 6.0, 20.0
PACE = 80
"""Homes that the workers visit in a second."""
JUST_RIGHT = int(PACE * PERIOD)
STEP_S = 0.25
VISIT_STEPS = 2
"""A visit takes this many steps from claim to report."""


class System:
    """A dispatcher and its workers. Nothing is lost, and the workers keep their pace."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.store = memory_store(self.clock, lease=LEASE)
        self.admission = Admission(
            self.store.fleet, self.clock, dict.fromkeys(Kind, PERIOD), lease=LEASE
        )
        self.line: deque[tuple[float, str]] = deque()
        """Leased homes that wait for a worker, with the moment of their lease."""
        self.under_way: deque[list[Claim]] = deque()
        self.visits: dict[str, list[float]] = {}
        self.longest_in_line = 0.0
        self.lateness_ms = 0
        """Of the visits whose lateness is not reported yet."""

    async def add(self, homes: range) -> None:
        await self.store.users.put([new_user(f"{number:06x}") for number in homes])

    async def remove(self, homes: range) -> None:
        for number in homes:
            await self.store.users.remove(f"{number:06x}")

    async def run(self, seconds: float, pace: float = PACE) -> None:
        steps_a_second = round(1 / STEP_S)
        for step in range(round(seconds * steps_a_second)):
            self.clock.advance(STEP_S)
            if step % steps_a_second == 0:
                await self._dispatch()
            await self._visit(round(pace * STEP_S))

    async def _dispatch(self) -> None:
        most = await self.admission.most_this_second()
        now = self.clock.now()
        self.line.extend((now, home) for home in await self.store.schedule.lease(most))

    async def _visit(self, homes: int) -> None:
        claims: list[Claim] = []
        while self.line and len(claims) < homes:
            leased_at, home = self.line.popleft()
            claims += await self.store.schedule.claim([home], "worker")
            self.longest_in_line = max(self.longest_in_line, self.clock.now() - leased_at)
        for claim in claims:
            self.visits.setdefault(claim.cloud_id, []).append(claim.claimed_at)
            self.lateness_ms += round(1000 * (claim.claimed_at - claim.due))
        self.under_way.append(claims)
        if len(self.under_way) > VISIT_STEPS:
            await self._report(self.under_way.popleft())

    async def _report(self, claims: list[Claim]) -> None:
        reports = [
            Report(
                claim.cloud_id,
                claim.token,
                after_success(claim.state),
                Grid(PERIOD, visit_phase(claim.cloud_id, PERIOD)),
            )
            for claim in claims
        ]
        milliseconds = round(1000 * VISIT_STEPS * STEP_S) * len(claims)
        tally = Counter(
            fetches=len(claims),
            visit_milliseconds=milliseconds,
            lateness_milliseconds=self.lateness_ms,
        )
        self.lateness_ms = 0
        await self.store.schedule.report(reports, tally)

    def waits_since(self, moment: float) -> list[float]:
        """Seconds between two visits to one home, over all homes."""
        recent = ([at for at in visits if at >= moment] for visits in self.visits.values())
        return [later - earlier for visits in recent for earlier, later in pairwise(visits)]


@pytest.mark.parametrize("times", [1.2, 2, 3, 6])
async def test_too_many_homes_are_visited_evenly_and_at_the_full_pace(times: float) -> None:
    system = System()
    await system.add(range(round(times * JUST_RIGHT)))
    await system.run(80 + 2 * PERIOD * times)
    began, system.longest_in_line = system.clock.now(), 0.0
    before = await system.store.fleet.tally()
    seconds = 4 * math.ceil(PERIOD * times)
    await system.run(seconds)
    after = await system.store.fleet.tally()
    assert after["fetches"] - before["fetches"] >= 0.99 * PACE * seconds
    waits = system.waits_since(began)
    mean = sum(waits) / len(waits)
    assert mean == pytest.approx(PERIOD * times, rel=0.05)
    assert max(waits) <= 1.5 * mean
    assert after.get("leases_unclaimed", 0) == 0
    assert system.longest_in_line <= LONGEST_WAIT_IN_LEASES * LEASE + 1
    pace = system.admission.pace()
    assert pace["visited_every"] == pytest.approx(PERIOD * times, rel=0.1)
    assert pace["instead_of"] == PERIOD
    assert await breaches(system.store.users) == []


async def test_two_rounds_after_the_load_falls_nobody_is_late() -> None:
    system = System()
    await system.add(range(3 * JUST_RIGHT))
    with structlog.testing.capture_logs() as logged:
        await system.run(120)
        assert system.admission.pace()["visited_every"] == pytest.approx(18, rel=0.1)
        fewer = range(JUST_RIGHT * 8 // 10, 3 * JUST_RIGHT)
        await system.remove(fewer)
        await system.run(2 * PERIOD)
        for _ in range(60):
            await system.run(1)
            assert (await system.store.fleet.totals()).overdue == 0
    assert [line["event"] for line in logged] == ["too_much", "too_much_no_more"]


async def test_a_stop_is_not_too_much() -> None:
    system = System()
    await system.add(range(JUST_RIGHT * 8 // 10))
    with structlog.testing.capture_logs() as logged:
        await system.run(100)
        await system.run(45, pace=0)
        await system.run(120)
        system.admission = Admission(
            system.store.fleet, system.clock, dict.fromkeys(Kind, PERIOD), lease=LEASE
        )
        system.line.clear()
        system.clock.advance(600)
        await system.run(120)
    assert logged == []
    assert (await system.store.fleet.totals()).overdue == 0


async def test_workers_that_become_four_times_as_slow_leave_no_lease_unclaimed() -> None:
    system = System()
    await system.add(range(2 * JUST_RIGHT))
    await system.run(60)
    await system.run(90, pace=PACE / 4)
    assert (await system.store.fleet.tally()).get("leases_unclaimed", 0) == 0


async def test_homes_that_come_all_at_once_are_all_visited_within_their_round() -> None:
    system = System()
    await system.add(range(JUST_RIGHT * 9 // 10))
    await system.run(3 * PERIOD)
    assert len(system.visits) == JUST_RIGHT * 9 // 10
    assert (await system.store.fleet.totals()).overdue == 0


async def test_messages_that_are_lost_hold_up_the_others_only_for_a_part_of_the_lease() -> None:
    system = System()
    await system.add(range(3 * JUST_RIGHT))
    await system.run(60)
    system.line.clear()  # the broker lost its messages
    await system.run(8)
    before = await system.store.fleet.tally()
    await system.run(6)
    after = await system.store.fleet.tally()
    assert after["fetches"] - before["fetches"] >= 0.9 * PACE * 6
