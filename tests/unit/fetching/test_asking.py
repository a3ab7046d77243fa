"""Which gateways a process asks, when, and how many at once; and what a message waits for."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from structlog.testing import capture_logs

from eagle_logger.clock import Clock
from eagle_logger.core.hours import Hour
from eagle_logger.core.kinds import Kind
from eagle_logger.core.line_format import parse_line
from eagle_logger.core.users import Credentials
from eagle_logger.logs.writer import AppendResult
from eagle_logger.rainforest.source import Decoded
from eagle_logger.users.store import Claim
from tests.support.polling import until
from tests.support.scripted_relay import demand
from tests.unit.fetching.world import DEMAND_ONLY, FLEET, HOME, OTHER, QUICK, World

THIRD = "00abcd"
SHORTEST_GAP = QUICK.request_gap - 0.001
"""The store's clock and `time.monotonic()` may disagree by a millisecond."""


async def test_a_message_does_not_wait_for_its_slowest_user(world: World) -> None:
    limits = replace(QUICK, deadline=1.5, stragglers_detached_after=1.0)
    worker = world.worker("fetch-2", limits=limits)
    await world.add(HOME, OTHER)
    world.relay.hangs(HOME)
    world.relay.always(OTHER, demand(int(await world.store.fleet.now())))
    outcome = await worker.run_cycle(await world.lease(HOME, OTHER))
    assert str(outcome) == "2 users, 1 fetched, 1 still out"
    assert [parse_line(line.rstrip()).cloud_id for line in world.logs.all] == [OTHER]
    with capture_logs() as logged:
        await worker.close()
    [line] = [line for line in logged if line["event"] == "stragglers"]
    assert (line["cloud_ids"], line["failed"], line["readings"]) == ([HOME], {HOME: "timed_out"}, 0)
    last_error = (await world.stored(HOME)).state.last_error
    assert (last_error or "").startswith("timed_out"), "the straggler has a deadline of its own"


async def test_a_message_does_not_wait_for_a_gateways_second_request(world: World) -> None:
    worker = world.worker(
        "fetch-2",
        intervals={**DEMAND_ONLY, Kind.SUMMATION: 6.0},
        limits=replace(QUICK, request_gap=0.5),
    )
    await world.add(HOME)
    world.relay.always(HOME, demand(int(await world.store.fleet.now())))
    outcome = await worker.run_cycle(await world.lease(HOME))
    assert str(outcome) == "1 user, 1 partly fetched"
    assert [kind for kind, _ in world.relay.asked[HOME]] == [Kind.DEMAND]
    await worker.close()
    assert [kind for kind, _ in world.relay.asked[HOME]] == [Kind.DEMAND, Kind.SUMMATION]


async def test_two_requests_to_one_gateway_start_a_gap_apart_and_never_overlap(
    world: World,
) -> None:
    worker = world.worker("fetch-2", intervals=FLEET)
    await world.add_new(HOME)
    await worker.run_cycle(await world.lease(HOME))
    await until(lambda: world.is_idle(HOME))
    await worker.run_cycle(await world.lease(HOME))
    await worker.close()
    assert [kind for kind, _ in world.relay.asked[HOME]] == [*Kind, Kind.DEMAND]
    starts = [start for _, start in world.relay.asked[HOME]]
    assert min(later - earlier for earlier, later in pairwise(starts)) >= SHORTEST_GAP
    assert world.relay.most_in_flight[HOME] == 1


@pytest.mark.parametrize(("seconds", "begun_of_first"), [(5.0, 0), (0.0, 1)])
async def test_a_first_request_that_follows_its_claim_at_once_is_not_begun_separately(
    world: World, monkeypatch: pytest.MonkeyPatch, seconds: float, begun_of_first: int
) -> None:
    await world.add_new(HOME)
    begin, begun = world.store.schedule.begin, list[Claim]()

    async def noting_begin(claims: Sequence[Claim]) -> frozenset[str]:
        begun.extend(claims)
        return await begin(claims)

    monkeypatch.setattr(world.store.schedule, "begin", noting_begin)
    limits = replace(QUICK, claim_counts_as_request_within=seconds)
    worker = world.worker("fetch-2", intervals=FLEET, limits=limits)
    await worker.run_cycle(await world.lease(HOME))
    await worker.close()
    assert len(world.relay.asked[HOME]) == len(Kind)
    assert len(begun) == len(Kind) - 1 + begun_of_first, "every further request checks the token"


async def test_the_gap_counts_from_the_writing_and_not_from_before_the_connection(
    world: World,
) -> None:
    """The gap holds within a visit, and from its last request to the next visit's first, in any
    process."""
    world.relay.connecting = [0.2, 0.0, 0.0, 0.0, 0.2, 0.0]
    first = world.worker("fetch-2", intervals={**DEMAND_ONLY, Kind.SUMMATION: 6.0})
    second = world.worker("fetch-3")
    await world.add(HOME)
    for worker in (first, second, second, second):
        await worker.run_cycle(await world.lease(HOME))
        await until(lambda: world.is_idle(HOME))
    await first.close()
    written = [moment for _, moment in world.relay.asked[HOME]]
    assert len(written) == 5
    assert min(later - earlier for earlier, later in pairwise(written)) >= SHORTEST_GAP


async def test_no_request_is_written_past_the_deadline(world: World) -> None:
    """A process that was stopped while it opened a connection may have lost its claim since."""
    worker = world.worker("fetch-2", limits=replace(QUICK, deadline=0.05))
    await world.add(HOME)
    claim = await world.claim(HOME)
    ask = world.relay.ask

    async def ask_after_a_stop(
        credentials: Credentials, kind: Kind, mac_id: str | None, before_writing: Callable[[], None]
    ) -> Decoded:
        time.sleep(0.1)  # noqa: ASYNC251  (stops the whole process)
        return await ask(credentials, kind, mac_id, before_writing)

    setattr(world.relay, "ask", ask_after_a_stop)  # noqa: B010  (mypy forbids the plain assignment)
    visit = await worker.visit(claim)
    assert (visit.outcome, world.relay.asked) == ("timed_out", {})


async def test_the_state_holds_when_a_kind_was_asked_in_the_stores_time(world: World) -> None:
    """If this machine's clock counted, which is an hour ahead, every kind would be due at every
    visit."""
    worker = world.worker("fetch-2", intervals=FLEET, clock=ClockAhead())
    await world.add_new(HOME)
    for _ in range(2):
        await worker.run_cycle(await world.lease(HOME))
        await until(lambda: world.is_idle(HOME))
    assert [kind for kind, _ in world.relay.asked[HOME]] == [*Kind, Kind.DEMAND]


class ClockAhead(Clock):
    def now(self) -> float:
        return super().now() + 3600


async def test_a_fetch_requested_during_a_visit_follows_it_at_once(world: World) -> None:
    await world.add(HOME)
    entered, go_on = world.relay.keeps_waiting(HOME)
    cycle = asyncio.create_task(world.logger.run_cycle(await world.lease(HOME)))
    await entered.wait()
    for _ in range(100):
        requested = await world.store.schedule.request([HOME])
        assert (requested.leased, requested.marked) == ((), (HOME,))
    go_on.set()
    await cycle
    assert len(world.relay.asked[HOME]) == 2, "a hundred requests are one further visit"
    assert world.relay.most_in_flight[HOME] == 1


async def test_a_message_that_comes_twice_fetches_once(world: World) -> None:
    await world.add(HOME)
    leased = await world.lease(HOME)
    outcomes = await asyncio.gather(*(world.logger.run_cycle(leased) for _ in range(10)))
    assert sorted(outcome.users for outcome in outcomes) == [0] * 9 + [1]
    assert len(world.relay.asked[HOME]) == 1


async def test_a_worker_that_lost_its_claim_asks_nothing_and_changes_nothing(world: World) -> None:
    await world.add(HOME)
    claim = await world.claim(HOME)
    await world.store.users.remove(HOME)
    visit = await world.logger.visit(claim)
    await world.logger.log_and_report([visit])
    assert (visit.outcome, world.relay.asked, world.logs.all) == ("lost", {}, [])
    assert await world.store.users.get(HOME) is None


async def test_a_process_asks_no_more_gateways_at_once_than_it_may(world: World) -> None:
    worker = world.worker("fetch-2", limits=replace(QUICK, max_in_flight=1))
    await world.add(HOME, OTHER)
    entered, go_on = world.relay.keeps_waiting(HOME)
    first = asyncio.create_task(worker.run_cycle(await world.lease(HOME)))
    await entered.wait()
    second = asyncio.create_task(worker.run_cycle(await world.lease(OTHER)))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not second.done()
    assert world.relay.asked.keys() == {HOME}
    go_on.set()
    await asyncio.gather(first, second)
    await worker.close()
    assert world.relay.asked.keys() == {HOME, OTHER}


async def test_users_who_wait_for_the_disk_leave_their_places_to_others_up_to_a_limit(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = replace(QUICK, max_in_flight=1, held_per_in_flight=2)
    worker = world.worker("fetch-2", limits=limits)
    await world.add(HOME, OTHER, THIRD)
    leased = await world.lease(HOME, OTHER, THIRD)
    entered, go_on = threading.Event(), threading.Event()
    append = world.logs.append

    def slow_append(batch: Mapping[tuple[str, Hour], Sequence[bytes]]) -> AppendResult:
        entered.set()
        go_on.wait(10)
        return append(batch)

    monkeypatch.setattr(world.logs, "append", slow_append)
    for cloud_id in leased:
        world.relay.always(cloud_id, demand(int(await world.store.fleet.now())))
    cycles = [asyncio.create_task(worker.run_cycle([cloud_id])) for cloud_id in leased]
    assert await asyncio.to_thread(entered.wait, 10)
    await until(lambda: len(world.relay.asked) == 2)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(world.relay.asked) == 2, "the third user is not even claimed"
    go_on.set()
    await asyncio.gather(*cycles)
    await worker.close()
    assert len(world.relay.asked) == 3
