"""How many a tick may lease, with a store in memory: the breaker is read, moved on and written."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import structlog

from eagle_logger.clock import Clock
from eagle_logger.core.cadence import Grid
from eagle_logger.core.circuit_breaker import Phase
from eagle_logger.core.kinds import Kind
from eagle_logger.core.schedule import visit_phase
from eagle_logger.core.user_state import after_failure, after_success
from eagle_logger.fetching.admission import most_this_second
from eagle_logger.users.memory.store import MemoryUserStore
from eagle_logger.users.store import Report
from tests.support.hand_clock import HandClock
from tests.support.users import new_user

HOMES = [f"{number:06x}" for number in range(60)]


class World:
    def __init__(self, period: float) -> None:
        self.period = period
        self.clock = HandClock()
        self.store = MemoryUserStore(self.clock)
        self.away = False

    async def second(self) -> int:
        """One tick and what comes of it; how many were allowed."""
        self.clock.advance(1.0)
        most = await most_this_second(self.store, Clock(), dict.fromkeys(Kind, self.period))
        leased = await self.store.lease(most)
        reports = []
        for claim in await self.store.claim(leased, "worker"):
            refusals = claim.state.failures + 1
            state = (
                after_failure(claim.state, "refused", park=refusals >= 3)
                if self.away
                else after_success(claim.state)
            )
            reports.append(
                Report(
                    claim.cloud_id,
                    claim.token,
                    state,
                    Grid(self.period, visit_phase(claim.cloud_id, self.period)),
                    blames_relay=self.away,
                )
            )
        failed = len(reports) if self.away else 0
        await self.store.report(reports, {"fetches": len(reports), "failed_fetches": failed})
        return most


@pytest.fixture(params=[6.0, 2.0])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    made = World(request.param)
    await made.store.put([new_user(cloud_id) for cloud_id in HOMES])
    for _ in range(20):
        await made.second()
    yield made
    assert await made.store.check_invariant() == []


async def test_a_relay_that_refuses_everybody_parks_nobody(world: World) -> None:
    world.away = True
    with structlog.testing.capture_logs() as said:
        for _ in range(120):
            await world.second()
        assert (await world.store.breaker()).phase is Phase.OPEN
        assert await world.second() == 1
        world.away = False
        for _ in range(25):
            await world.second()
    assert (await world.store.breaker()).phase is Phase.CLOSED
    totals = await world.store.totals()
    assert (totals.parked, totals.failing) == (0, 0)
    assert [line["log_level"] for line in said] == ["error", "info", "info"]


async def test_all_is_well(world: World) -> None:
    assert [await world.second() for _ in range(30)] == [60] * 30
