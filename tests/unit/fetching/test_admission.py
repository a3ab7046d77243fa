"""How many users a tick may lease: the circuit breaker is read, moved on and written again."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import structlog

from eagle_logger.clock import Clock
from eagle_logger.core.circuit_breaker import Phase
from eagle_logger.core.kinds import Kind
from eagle_logger.core.schedule import Grid, visit_phase
from eagle_logger.core.user_state import after_failure, after_success
from eagle_logger.fetching.admission import Admission
from eagle_logger.users.memory.store import memory_store
from eagle_logger.users.store import Report
from tests.support.hand_clock import HandClock
from tests.support.set_membership import breaches
from tests.support.users import new_user

HOMES = [f"{number:06x}" for number in range(60)]


class Fleet:
    """Sixty homes in memory. While `refused`, the relay refuses every visit."""

    def __init__(self, period: float) -> None:
        self.period = period
        self.clock = HandClock()
        self.store = memory_store(self.clock)
        self.admission = Admission(
            self.store.fleet, Clock(), dict.fromkeys(Kind, period), lease=20.0
        )
        self.refused = False

    async def run_second(self) -> int:
        """Run one tick and its visits. Returns how many users it was allowed to lease."""
        self.clock.advance(1.0)
        most = await self.admission.most_this_second()
        leased = await self.store.schedule.lease(most)
        reports = []
        for claim in await self.store.schedule.claim(leased, "worker"):
            refusals = claim.state.failures + 1
            state = (
                after_failure(claim.state, "refused", park=refusals >= 3)
                if self.refused
                else after_success(claim.state)
            )
            reports.append(
                Report(
                    claim.cloud_id,
                    claim.token,
                    state,
                    Grid(self.period, visit_phase(claim.cloud_id, self.period)),
                    blames_relay=self.refused,
                )
            )
        failed = len(reports) if self.refused else 0
        await self.store.schedule.report(
            reports, {"fetches": len(reports), "failed_fetches": failed}
        )
        return most


@pytest.fixture(params=[6.0, 2.0])
async def fleet(request: pytest.FixtureRequest) -> AsyncIterator[Fleet]:
    built = Fleet(request.param)
    await built.store.users.put([new_user(cloud_id) for cloud_id in HOMES])
    for _ in range(20):
        await built.run_second()
    yield built
    assert await breaches(built.store.users) == []


async def test_a_relay_that_refuses_every_user_parks_none(fleet: Fleet) -> None:
    fleet.refused = True
    with structlog.testing.capture_logs() as logged:
        for _ in range(120):
            await fleet.run_second()
        assert (await fleet.store.fleet.breaker()).phase is Phase.OPEN
        assert await fleet.run_second() == 1
        fleet.refused = False
        for _ in range(25):
            await fleet.run_second()
    assert (await fleet.store.fleet.breaker()).phase is Phase.CLOSED
    totals = await fleet.store.fleet.totals()
    assert (totals.parked, totals.failing) == (0, 0)
    assert [line["event"] for line in logged] == ["relay_away", "relay_returning", "relay_back"]


async def test_a_fleet_whose_visits_succeed_is_leased_as_it_falls_due(fleet: Fleet) -> None:
    assert [await fleet.run_second() for _ in range(30)] == [60] * 30
