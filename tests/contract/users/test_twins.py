"""The store in memory and the one in Redis give the same answers to the same calls."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from eagle_logger.core.circuit_breaker import Breaker, Phase
from eagle_logger.core.schedule import Grid
from eagle_logger.core.users import UserState
from eagle_logger.users.cipher import Cipher, new_key
from eagle_logger.users.memory.store import memory_store
from eagle_logger.users.redis.store import redis_store
from eagle_logger.users.store import Claim, Report, StoredUser, UserStore
from tests.support.hand_clock import HandClock
from tests.support.set_membership import breaches, strays
from tests.support.users import new_user

Result = TypeVar("Result")

IDS = ["000001", "000002", "000003", "00ce69", "ffffff"]
KEY = new_key()
some_ids = st.lists(st.sampled_from(IDS), min_size=1, max_size=5)
grids = st.builds(Grid, st.sampled_from([1.0, 6.0, 7.3, 240.0]), st.floats(0, 6))
ago = st.none() | st.floats(0, 10)
states = st.builds(
    lambda total, failures, parked: UserState(
        total_events_logged=total, failures=failures, last_error=parked or "busy", parked=parked
    ),
    st.integers(0, 9),
    st.integers(0, 4),
    st.sampled_from([None, None, None, "refused"]),
)


class Twins(RuleBasedStateMachine):
    url = ""

    @initialize()
    def start(self) -> None:
        with redis.Redis.from_url(self.url) as client:
            client.flushall()
        self.runner = asyncio.Runner()
        self.clock = HandClock()
        cipher = Cipher([KEY])
        self.memory = memory_store(self.clock, cipher=cipher, lease=20.0)
        self.redis = redis_store(self.url, cipher=cipher, clock=self.clock, lease=20.0)
        self.claims: list[tuple[Claim, Claim]] = []

    def teardown(self) -> None:
        self.run(self.redis.close())
        self.runner.close()

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(coroutine)

    def same(self, mine: object, other: object) -> None:
        assert mine == other

    @rule(ids=some_ids)
    def put(self, ids: list[str]) -> None:
        users = [new_user(cloud_id) for cloud_id in dict.fromkeys(ids)]
        self.run(self.memory.users.put(users))
        self.run(self.redis.users.put(users))

    @rule(cloud_id=st.sampled_from(IDS))
    def remove(self, cloud_id: str) -> None:
        self.same(
            self.run(self.memory.users.remove(cloud_id)),
            self.run(self.redis.users.remove(cloud_id)),
        )

    @rule(cloud_id=st.sampled_from(IDS), state=states)
    def restore(self, cloud_id: str, state: UserState) -> None:
        new = new_user(cloud_id)
        stored = StoredUser(new.user, Cipher([KEY]).seal(new.credentials), state, None, None)
        self.run(self.memory.users.restore([stored]))
        self.run(self.redis.users.restore([stored]))

    @rule(limit=st.integers(1, 4))
    def lease(self, limit: int) -> None:
        self.same(
            self.run(self.memory.schedule.lease(limit)), self.run(self.redis.schedule.lease(limit))
        )

    @rule(ids=some_ids, holder=st.sampled_from(["a", "b"]))
    def claim(self, ids: list[str], holder: str) -> None:
        mine, other = (
            self.run(self.memory.schedule.claim(ids, holder)),
            self.run(self.redis.schedule.claim(ids, holder)),
        )
        self.same(
            [without_token(claim) for claim in mine], [without_token(claim) for claim in other]
        )
        self.claims += zip(mine, other, strict=True)

    @rule(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        chosen = self.chosen(data)
        mine = self.run(self.memory.schedule.begin([claim for claim, _ in chosen]))
        self.same(mine, self.run(self.redis.schedule.begin([claim for _, claim in chosen])))

    @rule(
        data=st.data(),
        grid=grids,
        state=states,
        pause=st.sampled_from([0.0, 0.0, 10.0]),
        since=ago,
        blames=st.booleans(),
        answered=st.booleans(),
    )
    def report(
        self,
        data: st.DataObject,
        grid: Grid,
        state: UserState,
        pause: float,
        since: float | None,
        *,
        blames: bool,
        answered: bool,
    ) -> None:
        chosen = self.chosen(data)
        mine = [
            Report(claim.cloud_id, claim.token, state, grid, pause, blames, since, answered)
            for claim, _ in chosen
        ]
        other = [
            Report(claim.cloud_id, claim.token, state, grid, pause, blames, since, answered)
            for _, claim in chosen
        ]
        self.same(
            self.run(self.memory.schedule.report(mine, {"fetches": 1})),
            self.run(self.redis.schedule.report(other, {"fetches": 1})),
        )

    @rule(phase=st.sampled_from(Phase))
    def set_breaker(self, phase: Phase) -> None:
        self.run(self.memory.fleet.set_breaker(Breaker(phase)))
        self.run(self.redis.fleet.set_breaker(Breaker(phase)))

    @rule(ids=some_ids, once=st.sampled_from([None, None, "x", "y"]))
    def request(self, ids: list[str], once: str | None) -> None:
        self.same(
            self.run(self.memory.schedule.request(ids, once=once)),
            self.run(self.redis.schedule.request(ids, once=once)),
        )

    @rule(ids=some_ids, once=st.sampled_from([None, "x", "y"]))
    def forget(self, ids: list[str], once: str | None) -> None:
        self.run(self.memory.schedule.forget(once, ids))
        self.run(self.redis.schedule.forget(once, ids))

    @rule(ids=some_ids)
    def wake(self, ids: list[str]) -> None:
        self.same(self.run(self.memory.schedule.wake(ids)), self.run(self.redis.schedule.wake(ids)))

    @rule(holder=st.sampled_from(["a", "b"]))
    def free(self, holder: str) -> None:
        self.same(
            sorted(self.run(self.memory.schedule.free(holder))),
            sorted(self.run(self.redis.schedule.free(holder))),
        )

    @rule(seconds=st.one_of(st.floats(0.001, 30), st.sampled_from([6.0, 20.0])))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(seconds=st.sampled_from([-3600.0, -3.0, 3.0, 8.0, 30.0]))
    def set_the_clock(self, seconds: float) -> None:
        self.clock.jump(seconds)

    @invariant()
    def every_user_is_in_its_one_set(self) -> None:
        assert self.run(breaches(self.memory.users)) == []
        assert self.run(breaches(self.redis.users)) == []
        assert strays(self.url) == []

    @invariant()
    def both_hold_the_same(self) -> None:
        self.same(self.run(picture(self.memory)), self.run(picture(self.redis)))

    def chosen(self, data: st.DataObject) -> list[tuple[Claim, Claim]]:
        if not self.claims:
            return []
        picked = data.draw(
            st.lists(st.sampled_from(range(len(self.claims))), max_size=5, unique=True)
        )
        return [self.claims[number] for number in picked]


def without_token(claim: Claim) -> tuple[object, ...]:
    return (
        claim.cloud_id,
        claim.due,
        claim.claimed_at,
        claim.last_request,
        claim.user,
        claim.state,
        claim.abandoned,
        claim.unproven,
    )


async def picture(store: UserStore) -> list[object]:
    users = [
        (s.user, s.state, s.due, s.lease_ends) async for page in store.users.all() for s in page
    ]
    return [users, await store.fleet.totals(), await store.fleet.tally()]


def test_the_two_stores_never_differ(redis_url: str) -> None:
    class TwinsOnThisServer(Twins):
        url = redis_url

    run_state_machine_as_test(
        TwinsOnThisServer,
        settings=settings(
            max_examples=20,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
            derandomize=True,
        ),
    )
