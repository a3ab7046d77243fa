"""The cycle of EagleDataLogger: who is asked, what is logged, and when state moves on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from eagle_logger import disk
from eagle_logger import logger as logger_module
from eagle_logger.archive.archive import Archive
from eagle_logger.by_hand import fetch_now
from eagle_logger.clock import Clock
from eagle_logger.core.cadence import Grid
from eagle_logger.core.hours import Hour
from eagle_logger.core.lines import parse_line
from eagle_logger.core.readings import Flag, Kind
from eagle_logger.core.users import Credentials, User
from eagle_logger.errors import (
    DiskUnavailable,
    EagleError,
    RedisUnavailable,
    Refused,
    RelayUnavailable,
    UnknownUser,
    Unreadable,
)
from eagle_logger.logger import EagleDataLogger, Limits, Volume
from eagle_logger.logs.folder import LogFolder
from eagle_logger.rainforest.relay import Decoded, Problem, UnreadableReply
from eagle_logger.users.memory import MemoryUserStore
from eagle_logger.users.store import Claim, NewUser, Report, Reported
from tests.support.polling import until
from tests.support.scripted_relay import ScriptedRelay, demand, holding

HOME, OTHER = "00ce69", "002738"
FLEET = {Kind.DEMAND: 6.0, Kind.SUMMATION: 240.0, Kind.PRICE: 300.0, Kind.MESSAGE: 900.0}
DEMAND_ONLY = {**FLEET, **dict.fromkeys((Kind.SUMMATION, Kind.PRICE, Kind.MESSAGE), 1e9)}


@dataclass
class MemoryLogs:
    """Log files that are lists, and a disk that is full when a test says so."""

    lines: dict[tuple[str, Hour], list[bytes]] = field(default_factory=dict)
    full: threading.Event = field(default_factory=threading.Event)
    refused: threading.Event = field(default_factory=threading.Event)
    closed: bool = False

    def append(self, batch: Mapping[tuple[str, Hour], Sequence[bytes]]) -> None:
        self.check()
        for file, lines in batch.items():
            self.lines.setdefault(file, []).extend(lines)

    def check(self) -> None:
        if self.full.is_set():
            self.refused.set()
            raise DiskUnavailable("no space left")

    def close(self) -> None:
        self.closed = True

    @property
    def all(self) -> list[bytes]:
        return [line for lines in self.lines.values() for line in lines]


@dataclass
class MemorySamples:
    kept: list[tuple[str, str]] = field(default_factory=list)

    def keep_sample(self, cloud_id: str, when: float, text: str) -> None:
        self.kept.append((cloud_id, text))


class World:
    """One worker process's logger, and what surrounds it."""

    def __init__(self, folder: Path) -> None:
        self.store = MemoryUserStore(Clock())
        self.relay = ScriptedRelay()
        self.logs = MemoryLogs()
        self.samples = MemorySamples()
        self.volume = Volume(LogFolder(folder), _no_archive, 600, 86400)
        self.logger = self.worker("fetch-1")

    def worker(
        self, holder: str, *, intervals: Mapping[Kind, float] = DEMAND_ONLY, limits: Limits | None = None
    ) -> EagleDataLogger:
        return EagleDataLogger(
            users=self.store,
            relay=self.relay,
            logs=self.logs,
            samples=self.samples,
            volume=self.volume,
            clock=Clock(),
            intervals=intervals,
            limits=limits or Limits(),
            holder=holder,
        )

    async def add(self, *cloud_ids: str) -> None:
        await self.store.put(
            [NewUser(User(one), Credentials(one, "someone@example.org", "not a real one")) for one in cloud_ids]
        )
        now = await self.store.now()
        for one in cloud_ids:  # asked a moment ago for all but demand, so that a visit is one request
            await self.store.request([one])
            for claim in await self.store.claim([one], "setup"):
                asked = replace(claim.state, asked=dict.fromkeys(Kind, now))
                await self.store.report([Report(one, claim.token, asked, Grid(6.0, 0.0))], {})

    async def lease(self, *cloud_ids: str) -> list[str]:
        return list((await self.store.request(cloud_ids)).leased)

    async def is_idle(self, cloud_id: str) -> bool:
        stored = await self.store.get(cloud_id)
        return stored is not None and stored.lease_ends is None


def _no_archive() -> Archive:
    raise AssertionError("fetching needs no archive")


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(logger_module, "REPORTING_PAUSE", 0.01)
    monkeypatch.setattr(logger_module, "REQUEST_GAP", 0.05)
    monkeypatch.setattr(disk, "RETRY", 0.01)
    monkeypatch.setattr(logger_module, "PATIENCE", 5.0)
    built = World(tmp_path)
    yield built
    await built.logger.close()
    assert built.relay.closed
    assert built.logs.closed


async def test_what_a_gateway_says_is_on_disk_and_the_user_is_due_again(world: World) -> None:
    await world.add(HOME)
    now = int(await world.store.now())
    world.relay.always(HOME, demand(now))
    outcome = await world.logger.get_new_rainforest_data(await world.lease(HOME))
    assert str(outcome) == "1 user, 1 fetched"
    [line] = [parse_line(line.rstrip()) for line in world.logs.all]
    assert (line.cloud_id, line.time, str(line.data["value"]), line.data["unit"]) == (HOME, now, "0.944", "kW")
    stored = await world.store.get(HOME)
    assert stored is not None
    assert (stored.state.total_events_logged, stored.state.last_timestamp, stored.lease_ends) == (1, now, None)
    assert stored.due is not None
    assert 0 < stored.due - now <= 7


async def test_the_same_reading_again_is_not_logged_again(world: World) -> None:
    await world.add(HOME)
    world.relay.always(HOME, demand(int(await world.store.now())))
    for _ in range(3):
        await world.logger.get_new_rainforest_data(await world.lease(HOME))
    assert len(world.logs.all) == 1
    assert (await world.store.tally())["readings_logged"] == 1


async def test_state_does_not_move_before_the_line_is_on_disk(world: World) -> None:
    await world.add(HOME)
    world.relay.always(HOME, demand(int(await world.store.now())))
    leased = await world.lease(HOME)
    asked = asyncio.Event()
    scripted = world.relay.answers[HOME]

    async def fill_the_disk(credentials: Credentials, kind: Kind) -> Decoded:
        world.logs.full.set()
        asked.set()
        return await scripted(credentials, kind)

    world.relay.answers[HOME] = fill_the_disk
    visit = asyncio.create_task(world.logger.get_new_rainforest_data(leased))
    await asyncio.to_thread(world.logs.refused.wait, 10)
    assert asked.is_set()
    stored = await world.store.get(HOME)
    assert stored is not None
    assert stored.state.total_events_logged == 0
    world.logs.full.clear()
    await visit
    assert len(world.logs.all) == 1, "what was read while the disk was full is not lost"
    stored = await world.store.get(HOME)
    assert stored is not None
    assert stored.state.total_events_logged == 1


async def test_nobody_is_asked_while_nothing_can_be_written(world: World) -> None:
    await world.add(HOME)
    world.logs.full.set()
    with pytest.raises(DiskUnavailable):
        await world.logger.get_new_rainforest_data(await world.lease(HOME))
    assert world.relay.asked == {}
    world.logs.full.clear()
    assert str(await world.logger.get_new_rainforest_data([HOME])) == "1 user, 1 fetched", "and it resumes by itself"


async def test_a_message_does_not_wait_for_its_slowest_user(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert stored.state.last_error.startswith("timed_out"), "the straggler reported under its own deadline"


async def test_a_message_does_not_wait_for_what_is_asked_a_second_later(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logger_module, "REQUEST_GAP", 0.5)
    worker = world.worker("fetch-2", intervals={**DEMAND_ONLY, Kind.SUMMATION: 6.0})
    await world.add(HOME)
    world.relay.always(HOME, demand(int(await world.store.now())))
    outcome = await worker.get_new_rainforest_data(await world.lease(HOME))
    assert str(outcome) == "1 user, 1 asked on"
    assert [kind for kind, _ in world.relay.asked[HOME]] == [Kind.DEMAND]
    await worker.close()
    assert [kind for kind, _ in world.relay.asked[HOME]] == [Kind.DEMAND, Kind.SUMMATION]


@pytest.mark.parametrize(
    ("wrong", "outcome"),
    [
        (RelayUnavailable("busy", reason="busy"), "busy"),
        (Unreadable("<Nonsense>"), "unreadable"),
        (ZeroDivisionError("a bug of ours"), "internal_error"),
    ],
)
async def test_one_users_failure_stays_its_own(world: World, wrong: Exception, outcome: str) -> None:
    await world.add(HOME, OTHER)
    world.relay.fails(HOME, wrong)
    world.relay.always(OTHER, demand(int(await world.store.now())))
    said = await world.logger.get_new_rainforest_data(await world.lease(HOME, OTHER))
    assert said.counts == {"fetched": 1, outcome: 1}
    assert said.failed == {HOME: outcome}
    assert (await world.store.tally())[f"failed_{outcome}"] == 1
    assert len(world.logs.all) == 1


async def test_an_unreadable_reply_leaves_a_sample(world: World) -> None:
    await world.add(HOME)
    world.relay.fails(HOME, UnreadableReply(Problem("unknown_root", "a word we do not know", sample="<Nonsense>")))
    worker = world.worker("fetch-2")
    await worker.get_new_rainforest_data(await world.lease(HOME))
    await worker.close()
    assert world.samples.kept == [(HOME, "unknown_root: <Nonsense>")]


async def test_a_reply_that_cannot_be_read_does_not_keep_the_other_kinds_from_being_asked(world: World) -> None:
    await world.add(HOME)
    told = replace(demand(int(await world.store.now())), kind=Kind.SUMMATION)

    async def answer(_: Credentials, kind: Kind) -> Decoded:
        if kind is Kind.DEMAND:
            raise UnreadableReply(Problem("truncated", "no end of its own", sample="<InstantaneousDem"))
        return holding(told)

    world.relay.answers[HOME] = answer
    worker = world.worker("fetch-2", intervals={**DEMAND_ONLY, Kind.SUMMATION: 6.0})
    said = await worker.get_new_rainforest_data(await world.lease(HOME))
    await worker.close()
    assert [parse_line(line.rstrip()).identity.kind for line in world.logs.all] == [Kind.SUMMATION]
    assert said.counts == {"asked_on": 1}
    assert (await world.store.tally())["failed_unreadable"] == 1
    assert (await world.store.tally())["problems_truncated"] == 1
    assert world.samples.kept == [(HOME, "truncated: <InstantaneousDem")]


async def test_three_refusals_in_a_row_park_a_user_and_one_answer_between_does_not(world: World) -> None:
    await world.add(HOME)

    async def visit() -> str | None:
        await world.logger.get_new_rainforest_data(await world.lease(HOME))
        stored = await world.store.get(HOME)
        assert stored is not None
        return stored.state.parked

    world.relay.fails(HOME, Refused("bad password"))
    assert [await visit(), await visit()] == [None, None]
    world.relay.fails(HOME, RelayUnavailable("busy", reason="busy"))
    assert await visit() is None
    world.relay.fails(HOME, Refused("bad password"))
    assert [await visit(), await visit()] == [None, None]
    assert await visit() == "refused: bad password"
    assert await world.lease(HOME) == [], "a parked user is not fetched any more"
    await world.add(HOME)
    assert await world.lease(HOME) == [HOME], "until somebody updates it"


async def test_two_requests_to_one_gateway_start_a_gap_apart_and_never_overlap(world: World) -> None:
    worker = world.worker("fetch-2", intervals=FLEET)
    await world.store.put([NewUser(User(HOME), Credentials(HOME, "someone@example.org", "not a real one"))])
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
    await world.store.put([NewUser(User(HOME), Credentials(HOME, "someone@example.org", "not a real one"))])
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


async def test_whoever_asks_during_a_visit_is_served_right_after_it(world: World) -> None:
    await world.add(HOME)
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_: Credentials, __: Kind) -> Decoded:
        entered.set()
        await go_on.wait()
        return holding()

    world.relay.answers[HOME] = slow
    visit = asyncio.create_task(world.logger.get_new_rainforest_data(await world.lease(HOME)))
    await entered.wait()
    for _ in range(100):
        requested = await world.store.request([HOME])
        assert (requested.leased, requested.marked) == ((), (HOME,))
    go_on.set()
    await visit
    assert len(world.relay.asked[HOME]) == 2, "a hundred wishes during a visit are one further visit"
    assert world.relay.most_in_flight[HOME] == 1


async def test_a_message_that_comes_twice_fetches_once(world: World) -> None:
    await world.add(HOME)
    leased = await world.lease(HOME)
    said = await asyncio.gather(*(world.logger.get_new_rainforest_data(leased) for _ in range(10)))
    assert sorted(outcome.users for outcome in said) == [0] * 9 + [1]
    assert len(world.relay.asked[HOME]) == 1


async def test_a_worker_that_lost_its_lease_asks_nothing_more_and_changes_nothing(world: World) -> None:
    await world.add(HOME)
    [claim] = await world.store.claim(await world.lease(HOME), "fetch-1")
    await world.store.remove(HOME)
    visit = await world.logger.fetch_data(claim)
    await world.logger.update_user_info([visit])
    assert (visit.outcome, world.relay.asked, world.logs.all) == ("lost", {}, [])
    assert await world.store.get(HOME) is None


async def test_what_was_read_before_the_lease_was_lost_is_logged_all_the_same(world: World) -> None:
    await world.add(HOME)
    [claim] = await world.store.claim(await world.lease(HOME), "fetch-1")
    world.relay.always(HOME, demand(int(await world.store.now())))
    visit = await world.logger.fetch_data(claim)
    await world.store.remove(HOME)
    await world.logger.update_user_info([visit])
    assert len(world.logs.all) == 1


async def test_redis_away_at_the_end_loses_no_line(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(reports: Sequence[Report], tally: Mapping[str, int]) -> Reported:
        raise RedisUnavailable

    await world.add(HOME)
    world.relay.always(HOME, demand(int(await world.store.now())))
    leased = await world.lease(HOME)
    monkeypatch.setattr(world.store, "report", away)
    await world.logger.get_new_rainforest_data(leased)
    assert len(world.logs.all) == 1


async def test_a_reading_from_another_hour_is_filed_there(world: World) -> None:
    await world.add(HOME)
    now = int(await world.store.now())
    world.relay.always(HOME, demand(now), demand(now - 5 * 3600), demand(now + 5 * 3600))
    await world.logger.get_new_rainforest_data(await world.lease(HOME))
    assert {hour for _, hour in world.logs.lines} == {Hour.of(now), Hour.of(now - 18000), Hour.of(now + 18000)}
    [ahead] = world.logs.lines[HOME, Hour.of(now + 18000)]
    assert Flag.FUTURE in parse_line(ahead.rstrip()).flags


async def test_a_worker_takes_no_more_users_than_it_has_room_for(world: World) -> None:
    worker = world.worker("fetch-2", limits=Limits(max_in_flight=1))
    await world.add(HOME, OTHER)
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_: Credentials, __: Kind) -> Decoded:
        entered.set()
        await go_on.wait()
        return holding()

    world.relay.answers[HOME] = slow
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


async def test_who_waits_for_the_disk_takes_nobodys_turn_to_ask(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert len(world.relay.asked) == 2, "the third is not even claimed: too much waits for the disk already"
    go_on.set()
    await asyncio.gather(*visits)
    await worker.close()
    assert len(world.relay.asked) == 3


async def test_fetching_by_hand_logs_what_is_new(world: World) -> None:
    await world.add(HOME)
    world.relay.always(HOME, demand(int(await world.store.now())))
    visit = await fetch_now(world.logger, HOME, dry_run=False, patience=5)
    assert (visit.outcome, len(visit.readings), len(world.logs.all)) == ("fetched", 1, 1)


async def test_a_dry_run_shows_but_changes_nothing(world: World) -> None:
    await world.add(HOME)
    before = await world.store.get(HOME)
    world.relay.always(HOME, demand(int(await world.store.now())))
    visit = await fetch_now(world.logger, HOME, dry_run=True, patience=5)
    after = await world.store.get(HOME)
    assert len(visit.readings) == 1
    assert world.logs.all == []
    assert before is not None
    assert after is not None
    assert (after.state, after.lease_ends) == (before.state, None)


async def test_by_hand_waits_for_whoever_is_fetching(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eagle_logger.by_hand.POLL", 0.01)
    await world.add(HOME)
    [claim] = await world.store.claim(await world.lease(HOME), "fetch-9")
    by_hand = asyncio.create_task(fetch_now(world.logger, HOME, dry_run=False, patience=5))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not by_hand.done()
    await world.store.report([Report(HOME, claim.token, claim.state, Grid(6.0, 0.0))], {})
    assert (await by_hand).outcome == "fetched"


async def test_by_hand_says_what_is_wrong_with_the_user(world: World) -> None:
    with pytest.raises(UnknownUser, match=HOME):
        await fetch_now(world.logger, HOME, dry_run=False, patience=1)
    await world.add(HOME)
    [claim] = await world.store.claim(await world.lease(HOME), "fetch-9")
    await world.store.report([Report(HOME, claim.token, replace(claim.state, parked="refused"), Grid(6.0, 0.0))], {})
    with pytest.raises(EagleError, match="parked"):
        await fetch_now(world.logger, HOME, dry_run=False, patience=1)


@pytest.mark.parametrize("wrong", [Refused("bad password"), RelayUnavailable("nobody there", reason="connection")])
async def test_a_failure_by_hand_is_not_the_users(world: World, wrong: Exception) -> None:
    await world.add(HOME)
    before = await world.store.get(HOME)
    world.relay.fails(HOME, wrong)
    for _ in range(3):
        visit = await fetch_now(world.logger, HOME, dry_run=False, patience=1)
        assert str(wrong) in (visit.state.last_error or "")
    after = await world.store.get(HOME)
    assert before is not None
    assert after is not None
    assert after.state == before.state
    assert "failed_fetches" not in await world.store.tally()


async def test_whose_reply_kills_is_parked_unasked(world: World) -> None:
    await world.add(HOME)
    await world.lease(HOME)
    [claim] = await world.logger.fetch_user_info([HOME])
    visit = await world.logger.fetch_data(replace(claim, abandoned=5))
    await world.logger.update_user_info([visit])
    assert world.relay.asked[HOME] == []
    stored = await world.store.get(HOME)
    assert stored is not None
    assert (stored.state.parked or "").startswith("poison: 5 processes in a row died while they fetched it")
    assert (await world.store.tally())["failed_poison"] == 1


async def test_a_disk_without_room_is_told_though_nothing_waits_to_be_written(world: World) -> None:
    await world.add(HOME)
    world.logs.full.set()
    leased = await world.lease(HOME)
    with pytest.raises(DiskUnavailable):
        await world.logger.get_new_rainforest_data(leased)
    assert world.logger.disk_trouble == "no space left"
    world.logs.full.clear()
    assert str(await world.logger.get_new_rainforest_data(leased)).startswith("1 user, 1 fetched")
    assert world.logger.disk_trouble is None


async def test_nothing_more_is_asked_once_it_could_not_be_kept(world: World) -> None:
    """Of one visit that has begun: another's readings found the disk full meanwhile."""
    await world.add(HOME, OTHER)
    worker = world.worker("fetch-2", intervals=dict.fromkeys(Kind, 6.0))
    world.relay.always(OTHER, demand(int(await world.store.now())))
    gone_on = asyncio.Event()

    async def answer(_: Credentials, __: Kind) -> Decoded:
        world.logs.full.set()
        asked_on.append(asyncio.create_task(worker.update_user_info([other])))
        await until(lambda: worker.disk_trouble is not None)
        gone_on.set()
        return holding()

    asked_on: list[asyncio.Task[list[bool]]] = []
    [claim, second] = [claim for one in (HOME, OTHER) for claim in await claimed(world, one)]
    other = await world.logger.fetch_data(second)
    world.relay.answers[HOME] = answer
    visit = await worker.fetch_data(claim)
    assert gone_on.is_set()
    assert (visit.requests, visit.outcome) == (1, "fetched")
    world.logs.full.clear()
    await asyncio.gather(*asked_on)
    await worker.close()


async def claimed(world: World, cloud_id: str) -> list[Claim]:
    await world.lease(cloud_id)
    return await world.logger.fetch_user_info([cloud_id])
