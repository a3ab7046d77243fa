"""How a store keeps the circuit breaker, and what an open one does to reports."""

from __future__ import annotations

from eagle_logger.core.circuit_breaker import Breaker, Phase, Sample
from eagle_logger.users.store import UserStore
from tests.contract.users.scheduling import add, claimed, reported
from tests.support.hand_clock import HandClock

AWAY = Breaker(Phase.OPEN, 7.25, (Sample(7.25, 20, 19), Sample(8.5, 21, 20)))


async def test_the_breaker_is_closed_until_it_is_written(store: UserStore) -> None:
    assert await store.fleet.breaker() == Breaker()
    await store.fleet.set_breaker(AWAY)
    assert await store.fleet.breaker() == AWAY


async def test_while_the_breaker_is_open_failures_do_not_count_against_users(
    store: UserStore, clock: HandClock
) -> None:
    await add(store, "000001", "000002")
    [own, relays] = await claimed(store, "000001", "000002")
    await store.schedule.report(
        [reported(relays, relays.state._replace(failures=2, last_error="refused"))], {}
    )
    [relays] = await claimed(store, "000002")
    assert (await store.fleet.totals()).failing == 1
    await store.fleet.set_breaker(AWAY)
    parked = own.state._replace(
        failures=3, last_error="poison", parked="poison", total_events_logged=5
    )
    await store.schedule.report(
        [reported(own, parked), reported(relays, parked, pause=60.0)._replace(blames_relay=True)],
        {},
    )
    mine, other = await store.users.get("000001"), await store.users.get("000002")
    assert mine is not None
    assert other is not None
    assert mine.state == parked
    assert other.state == parked._replace(failures=2, last_error="refused", parked=None)
    assert other.due is not None
    assert clock.now() + 60 < other.due <= clock.now() + 66
    await store.fleet.set_breaker(Breaker())
    [again] = await claimed(store, "000002")
    await store.schedule.report([reported(again, parked)._replace(blames_relay=True)], {})
    assert (await store.fleet.totals()).parked == 2
