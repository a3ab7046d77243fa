"""Who is asked, when, and how many at once; and what a message waits for."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import pytest
from structlog.testing import capture_logs

from eagle_logger import logger as logger_module
from eagle_logger.clock import Clock
from eagle_logger.core.hours import Hour
from eagle_logger.core.kinds import Kind
from eagle_logger.core.line_format import parse_line
from eagle_logger.core.users import Credentials, User
from eagle_logger.logger import Limits
from eagle_logger.rainforest.source import Decoded
from eagle_logger.users.store import Claim, NewUser
from tests.support.polling import until
from tests.support.scripted_relay import demand
from tests.unit.fetching.world import DEMAND_ONLY, FLEET, HOME, OTHER, World, claimed


async def test_a_message_does_not_wait_for_its_slowest_user(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logger_module, "PATIENCE", 0.2)
    worker = world.worker("fetch-2", limits=Limits(deadline=1.0))
    await world.add(HOME, OTHER)
    world.relay.hangs(HOME)
    world.relay.always(OTHER, demand(int(await world.store.now())))
    outcome = await worker.get_new_rainforest_data(await world.lease(HOME, OTHER))
    assert str(outcome) == "2 users, 1 fetched, 1 still out"
    assert [parse_line(line.rstrip()).cloud_id for line in world.logs.all] == [OTHER]
    with capture_logs() as logged:
        await worker.close()
    [told] = [line for line in logged if line["event"] == "stragglers"]
    assert (told["cloud_ids"], told["failed"], told["readings"]) == ([HOME], {HOME: "timed_out"}, 0)
    stored = await world.store.get(HOME)
    assert stored is not None
    assert stored.state.last_error is not None
    assert stored.state.last_error.startswith("timed_out"), (
        "the straggler reported under its own deadline"
    )


async def test_a_message_does_not_wait_for_what_is_asked_a_second_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logger_module, "REQUEST_GAP", 0.5)
    worker = world.worker("fetch-2", intervals={**DEMAND_ONLY, Kind.SUMMATION: 6.0})
    await world.add(HOME)
    world.relay.always(HOME, demand(int(await world.store.now())))
    outcome = await worker.get_new_rainforest_data(await world.lease(HOME))
    assert str(outcome) == "1 user, 1 asked on"
    assert [kind for kind, _ in world.relay.asked[HOME]] == [Kind.DEMAND]
    await worker.close()
    assert [kind for kind, _ in world.relay.asked[HOME]] == [Kind.DEMAND, Kind.SUMMATION]


async def test_two_requests_to_one_gateway_start_a_gap_apart_and_never_overlap(
    world: World,
) -> None:
    worker = world.worker("fetch-2", intervals=FLEET)
    await world.store.put(
        [NewUser(User(HOME), Credentials(HOME, "someone@example.org", "not a real one"))]
    )
    await worker.get_new_rainforest_data(await world.lease(HOME))
    await until(lambda: world.is_idle(HOME))
    await worker.get_new_rainforest_data(await world.lease(HOME))
    await worker.close()
    assert [kind for kind, _ in world.relay.asked[HOME]] == [*Kind, Kind.DEMAND]
    starts = [start for _, start in world.relay.asked[HOME]]
    # The store's clock and the loop's are not the same one: a millisecond is theirs.
    assert min(later - earlier for earlier, later in pairwise(starts)) >= 0.049
    assert world.relay.most_in_flight[HOME] == 1


@pytest.mark.parametrize(("swift", "begins"), [(5.0, 0), (0.0, 1)])
async def test_only_a_request_that_follows_its_claim_at_once_needs_no_beginning_of_its_own(
    world: World, monkeypatch: pytest.MonkeyPatch, swift: float, begins: int
) -> None:
    monkeypatch.setattr(logger_module, "SWIFT", swift)
    await world.store.put(
        [NewUser(User(HOME), Credentials(HOME, "someone@example.org", "not a real one"))]
    )
    stored, begun = world.store.begin, list[Claim]()

    async def begin(claims: Sequence[Claim]) -> frozenset[str]:
        begun.extend(claims)
        return await stored(claims)

    monkeypatch.setattr(world.store, "begin", begin)
    worker = world.worker("fetch-2", intervals=FLEET)
    await worker.get_new_rainforest_data(await world.lease(HOME))
    await worker.close()
    assert len(world.relay.asked[HOME]) == len(Kind)
    assert len(begun) == len(Kind) - 1 + begins, "every further request looks at the token"


async def test_the_gap_counts_from_the_writing_and_not_from_before_the_connection(
    world: World,
) -> None:
    """The gap holds within a visit, and from its last request to the next visit's first, in any
    process."""
    world.relay.connecting = [0.2, 0.0, 0.0, 0.0, 0.2, 0.0]
    one, other = (
        world.worker("fetch-2", intervals={**DEMAND_ONLY, Kind.SUMMATION: 6.0}),
        world.worker("fetch-3"),
    )
    await world.add(HOME)
    for worker in (one, other, other, other):
        await worker.get_new_rainforest_data(await world.lease(HOME))
        await until(lambda: world.is_idle(HOME))
    await one.close()
    written = [moment for _, moment in world.relay.asked[HOME]]
    assert len(written) == 5
    assert min(later - earlier for earlier, later in pairwise(written)) >= 0.049


async def test_nothing_is_written_past_the_deadline(world: World) -> None:
    """A process that was stopped in the middle of a connection goes on when its claim may be
    another's."""
    worker = world.worker("fetch-2", limits=Limits(deadline=0.05))
    await world.add(HOME)
    [claim] = await claimed(world, HOME)

    async def asleep(*_: object) -> Decoded:
        raise AssertionError("it was asked")

    ask = world.relay.ask

    async def stopped(
        credentials: Credentials, kind: Kind, mac_id: str | None, before_writing: Callable[[], None]
    ) -> Decoded:
        time.sleep(0.1)  # noqa: ASYNC251  (the whole process)
        return await ask(credentials, kind, mac_id, before_writing)

    world.relay.answers[HOME] = asleep
    setattr(world.relay, "ask", stopped)  # noqa: B010  (mypy forbids the plain assignment)
    visit = await worker.fetch_data(claim)
    assert (visit.outcome, world.relay.asked) == ("timed_out", {})


async def test_what_is_asked_is_noted_in_the_stores_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This machine's clock is an hour ahead: every kind would be due at every visit."""
    monkeypatch.setattr(world.logger, "_clock", Ahead())
    await world.store.put(
        [NewUser(User(HOME), Credentials(HOME, "someone@example.org", "not a real one"))]
    )
    for _ in range(2):
        await world.logger.get_new_rainforest_data(await world.lease(HOME))
        await until(lambda: world.is_idle(HOME))
    assert [kind for kind, _ in world.relay.asked[HOME]] == [*Kind, Kind.DEMAND]


class Ahead(Clock):
    def now(self) -> float:
        return super().now() + 3600


async def test_whoever_asks_during_a_visit_is_served_right_after_it(world: World) -> None:
    await world.add(HOME)
    entered, go_on = world.relay.keeps_waiting(HOME)
    visit = asyncio.create_task(world.logger.get_new_rainforest_data(await world.lease(HOME)))
    await entered.wait()
    for _ in range(100):
        requested = await world.store.request([HOME])
        assert (requested.leased, requested.marked) == ((), (HOME,))
    go_on.set()
    await visit
    assert len(world.relay.asked[HOME]) == 2, (
        "a hundred wishes during a visit are one further visit"
    )
    assert world.relay.most_in_flight[HOME] == 1


async def test_a_message_that_comes_twice_fetches_once(world: World) -> None:
    await world.add(HOME)
    leased = await world.lease(HOME)
    said = await asyncio.gather(*(world.logger.get_new_rainforest_data(leased) for _ in range(10)))
    assert sorted(outcome.users for outcome in said) == [0] * 9 + [1]
    assert len(world.relay.asked[HOME]) == 1


async def test_a_worker_that_lost_its_lease_asks_nothing_more_and_changes_nothing(
    world: World,
) -> None:
    await world.add(HOME)
    [claim] = await world.store.claim(await world.lease(HOME), "fetch-1")
    await world.store.remove(HOME)
    visit = await world.logger.fetch_data(claim)
    await world.logger.update_user_info([visit])
    assert (visit.outcome, world.relay.asked, world.logs.all) == ("lost", {}, [])
    assert await world.store.get(HOME) is None


async def test_a_worker_takes_no_more_users_than_it_has_room_for(world: World) -> None:
    worker = world.worker("fetch-2", limits=Limits(max_in_flight=1))
    await world.add(HOME, OTHER)
    entered, go_on = world.relay.keeps_waiting(HOME)
    first = asyncio.create_task(worker.get_new_rainforest_data(await world.lease(HOME)))
    await entered.wait()
    second = asyncio.create_task(worker.get_new_rainforest_data(await world.lease(OTHER)))
    for _ in range(10):
        await asyncio.sleep(0)
    stored = await world.store.get(OTHER)
    assert stored is not None
    assert not second.done()
    assert world.relay.asked.keys() == {HOME}
    go_on.set()
    await asyncio.gather(first, second)
    await worker.close()
    assert world.relay.asked.keys() == {HOME, OTHER}


async def test_who_waits_for_the_disk_takes_nobodys_turn_to_ask(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logger_module, "HELD", 2)
    worker, third = world.worker("fetch-2", limits=Limits(max_in_flight=1)), "00abcd"
    await world.add(HOME, OTHER, third)
    leased = await world.lease(HOME, OTHER, third)
    written, go_on = threading.Event(), threading.Event()
    append = world.logs.append

    def slow(batch: Mapping[tuple[str, Hour], Sequence[bytes]]) -> None:
        written.set()
        go_on.wait(10)
        append(batch)

    monkeypatch.setattr(world.logs, "append", slow)
    for one in leased:
        world.relay.always(one, demand(int(await world.store.now())))
    visits = [asyncio.create_task(worker.get_new_rainforest_data([one])) for one in leased]
    assert await asyncio.to_thread(written.wait, 10)
    await until(lambda: len(world.relay.asked) == 2)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(world.relay.asked) == 2, (
        "the third is not even claimed: too much waits for the disk already"
    )
    go_on.set()
    await asyncio.gather(*visits)
    await worker.close()
    assert len(world.relay.asked) == 3
