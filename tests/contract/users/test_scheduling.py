"""What every user store does with due times, leases and claims."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eagle_logger.core.breaker import Breaker, Phase, Sample
from eagle_logger.core.cadence import Grid, missed_turns, next_due
from eagle_logger.core.suspicion import CONVICTED_AFTER, REST, is_convicted
from eagle_logger.core.users import UserState
from eagle_logger.core.visits import REQUEST_GAP
from eagle_logger.users.store import Claim, Report, UserStore
from tests.contract.users.conftest import LEASE
from tests.support.hand_clock import HandClock
from tests.support.users import lived_in_state, new_user

GRID = Grid(6.0, 1.5)


async def add(store: UserStore, *cloud_ids: str) -> None:
    for cloud_id in cloud_ids:
        await store.put([new_user(cloud_id)])


async def claimed(store: UserStore, *cloud_ids: str, holder: str = "worker") -> list[Claim]:
    """These users, idle or due, in a worker's hands."""
    await store.request(cloud_ids)
    claims = await store.claim(cloud_ids, holder)
    assert [claim.cloud_id for claim in claims] == list(cloud_ids)
    return claims


def reported(claim: Claim, state: UserState | None = None, *, grid: Grid = GRID, pause: float = 0.0) -> Report:
    return Report(claim.cloud_id, claim.token, state or claim.state, grid, pause)


async def due_of(store: UserStore, cloud_id: str) -> float | None:
    stored = await store.get(cloud_id)
    assert stored
    return stored.due


async def lease_of(store: UserStore, cloud_id: str) -> float | None:
    stored = await store.get(cloud_id)
    assert stored
    return stored.lease_ends


# Leasing --------------------------------------------------------------------------------------------------------------


async def test_a_new_user_is_due_at_once(store: UserStore) -> None:
    await add(store, "00ce69")
    assert await store.lease(10) == ["00ce69"]
    assert await store.lease(10) == []


async def test_the_longest_due_are_leased_first(store: UserStore, clock: HandClock) -> None:
    for cloud_id in ("000003", "000001", "000002"):
        await add(store, cloud_id)
        clock.advance(1)
    assert await store.lease(2) == ["000003", "000001"]
    assert await store.lease(2) == ["000002"]


async def test_more_users_than_one_step_of_the_script_takes(store: UserStore, clock: HandClock) -> None:
    await store.put([new_user(f"{number:06x}") for number in range(2500)])
    clock.advance(6)
    leased = await store.lease(10_000)
    assert sorted(leased) == [f"{number:06x}" for number in range(2500)]
    assert (await store.totals()).leased == 2500


async def test_a_batch_of_new_users_does_not_fall_due_at_once(store: UserStore, clock: HandClock) -> None:
    await store.put([new_user(f"{number:06x}") for number in range(1001)])
    per_step = []
    for _ in range(10):
        clock.advance(0.1)
        per_step.append(len(await store.lease(2000)))
    assert sum(per_step) == 1001
    assert max(per_step) < 200


async def test_a_lease_that_runs_out_makes_the_user_due_since_it_fell_due(store: UserStore, clock: HandClock) -> None:
    fell_due = clock.now()
    await add(store, "00ce69")
    clock.advance(3)
    assert await store.lease(1) == ["00ce69"]
    assert await store.lease(1) == []
    clock.advance(LEASE)
    assert await store.lease(1) == ["00ce69"]
    [claim] = await store.claim(["00ce69"], "worker")
    assert claim.due == fell_due


async def test_work_on_ended_leases_is_bounded(store: UserStore, clock: HandClock) -> None:
    await add(store, *(f"{number:06x}" for number in range(5)))
    assert len(await store.lease(5)) == 5
    clock.advance(LEASE)
    assert len(await store.lease(2)) == 2
    totals = await store.totals()
    assert (totals.leased, totals.due) == (5, 0)  # two given back and leased again, three not looked at yet
    assert len(await store.lease(5)) == 3


# Claiming -------------------------------------------------------------------------------------------------------------


async def test_a_claim_brings_everything_needed(store: UserStore, clock: HandClock) -> None:
    await add(store, "00ce69")
    due = clock.now()
    await store.lease(1)
    clock.advance(0.25)
    [claim] = await store.claim(["00ce69"], "worker")
    assert (claim.due, claim.claimed_at, claim.last_request) == (due, due + 0.25, None)
    assert claim.credentials == new_user("00ce69").credentials
    assert claim.state == UserState()
    assert await lease_of(store, "00ce69") == due + 0.25 + LEASE


async def test_only_what_is_leased_and_free_can_be_claimed(store: UserStore) -> None:
    await add(store, "000001", "000002")
    assert await store.claim(["000001", "ffffff"], "worker") == []
    await store.request(["000001"])
    assert len(await store.claim(["000001", "000001", "000002"], "worker")) == 1
    assert await store.claim(["000001"], "worker") == []


async def test_a_message_delivered_twice_finds_nothing_to_claim(store: UserStore, clock: HandClock) -> None:
    await add(store, "00ce69")
    [claim] = await claimed(store, "00ce69")
    assert await store.claim(["00ce69"], "another") == []
    await store.report([reported(claim)], {})
    assert await store.claim(["00ce69"], "another") == []


async def test_claims_that_end_without_a_report_are_counted(store: UserStore, clock: HandClock) -> None:
    await add(store, "00ce69")
    for abandoned in range(4):
        assert await store.lease(1) == ["00ce69"]
        [claim] = await store.claim(["00ce69"], "worker")
        assert claim.abandoned == abandoned
        if abandoned < 3:
            clock.advance(LEASE)
            assert await store.lease(1) == ([] if abandoned else ["00ce69"]), "a suspect rests first"
            clock.advance(REST if abandoned else LEASE)
    await store.report([reported(claim)], {})
    assert (await claimed(store, "00ce69"))[0].abandoned == 0


# Beginning a request --------------------------------------------------------------------------------------------------


async def test_begin_renews_the_lease_and_is_remembered(store: UserStore, clock: HandClock) -> None:
    await add(store, "00ce69")
    [claim] = await claimed(store, "00ce69")
    began = clock.advance(15)
    assert await store.begin([claim]) == {"00ce69"}
    assert await lease_of(store, "00ce69") == began + LEASE
    await store.report([reported(claim)], {})
    clock.advance(0.125)
    [after] = await claimed(store, "00ce69")
    assert after.last_request == began


@pytest.mark.parametrize(("later", "begun"), [(REQUEST_GAP, True), (REQUEST_GAP - 0.125, False)])
async def test_a_claim_begins_a_request_unless_another_began_too_short_ago(
    store: UserStore, clock: HandClock, later: float, begun: bool
) -> None:
    await add(store, "00ce69")
    [first] = await claimed(store, "00ce69")
    assert first.begun
    await store.report([reported(first)], {})
    clock.advance(later)
    [second] = await claimed(store, "00ce69")
    assert (second.last_request, second.begun) == (first.claimed_at, begun)
    await store.report([reported(second)], {})
    [third] = await claimed(store, "00ce69")
    assert third.last_request == (second if begun else first).claimed_at


async def test_who_slept_past_its_lease_may_neither_begin_nor_report(store: UserStore, clock: HandClock) -> None:
    await add(store, "00ce69")
    [asleep] = await claimed(store, "00ce69")
    clock.advance(LEASE)
    assert await store.lease(1) == ["00ce69"]
    assert await store.begin([asleep]) == frozenset()
    [awake] = await store.claim(["00ce69"], "another")
    assert await store.begin([asleep, awake]) == {"00ce69"}
    answer = await store.report([reported(asleep, UserState(total_events_logged=7))], {})
    assert answer.lost == {"00ce69"}
    stored = await store.get("00ce69")
    assert stored
    assert stored.state == UserState()
    assert stored.lease_ends is not None


async def test_a_late_worker_goes_on_while_nobody_else_took_over(store: UserStore, clock: HandClock) -> None:
    await add(store, "00ce69")
    [claim] = await claimed(store, "00ce69")
    clock.advance(LEASE * 2)
    assert await store.begin([claim]) == {"00ce69"}
    assert (await store.report([reported(claim)], {})).lost == frozenset()


# Reporting ------------------------------------------------------------------------------------------------------------


async def test_a_report_writes_the_state_and_arms_the_next_turn(store: UserStore, clock: HandClock) -> None:
    await add(store, "00ce69")
    [claim] = await claimed(store, "00ce69")
    state = replace(lived_in_state(), failures=1, last_error="timed_out")
    answer = await store.report([reported(claim, state)], {"fetches": 1, "readings_logged": 3})
    assert (answer.again, answer.lost, answer.missed_turns) == (frozenset(), frozenset(), 0)
    stored = await store.get("00ce69")
    assert stored
    assert stored.state == state
    assert stored.due == next_due(clock.now(), GRID)
    assert await store.tally() == {"fetches": 1, "readings_logged": 3}
    assert (await claimed(store, "00ce69"))[0].state == state


async def test_the_next_turn_lies_strictly_after_now(store: UserStore, clock: HandClock) -> None:
    await add(store, "00ce69")
    [claim] = await claimed(store, "00ce69")
    await store.report([reported(claim, grid=Grid(6.0, clock.now()))], {})
    assert await due_of(store, "00ce69") == clock.now() + 6


async def test_missed_turns_are_counted_and_not_made_up(store: UserStore, clock: HandClock) -> None:
    await add(store, "00ce69")
    grid = Grid(6.0, clock.now())
    await store.report([reported((await claimed(store, "00ce69"))[0], grid=grid)], {})
    clock.advance(6 + 12 + 1)
    assert await store.lease(1) == ["00ce69"]
    [claim] = await store.claim(["00ce69"], "worker")
    answer = await store.report([reported(claim, grid=grid)], {})
    assert answer.missed_turns == 2
    assert (await store.tally())["missed_turns"] == 2
    assert await due_of(store, "00ce69") == clock.now() - 1 + 6


async def test_whoever_asks_early_makes_nobody_miss_a_turn(store: UserStore, clock: HandClock) -> None:
    await add(store, "00ce69")
    grid = Grid(6.0, clock.now())
    await store.report([reported((await claimed(store, "00ce69"))[0], grid=grid)], {})
    asked = clock.advance(5.9)
    await store.request(["00ce69"])
    clock.advance(0.05)
    [claim] = await store.claim(["00ce69"], "worker")
    assert claim.due == asked
    clock.advance(0.25)
    assert (await store.report([reported(claim, grid=grid)], {})).missed_turns == 0


async def test_a_pause_is_kept_and_is_no_missed_turn(store: UserStore, clock: HandClock) -> None:
    await add(store, "00ce69")
    [claim] = await claimed(store, "00ce69")
    clock.advance(30)
    answer = await store.report([reported(claim, pause=100.0)], {})
    assert answer.missed_turns == 0
    due = await due_of(store, "00ce69")
    assert due == next_due(clock.now() + 100, GRID)


async def test_the_parked_are_in_neither_set_until_somebody_updates_them(store: UserStore, clock: HandClock) -> None:
    await add(store, "00ce69")
    [claim] = await claimed(store, "00ce69")
    refused = UserState(total_events_logged=5, failures=3, last_error="refused", parked="refused")
    await store.report([reported(claim, refused)], {})
    assert (await store.totals()).parked == 1
    assert (await store.request(["00ce69"])).parked == ("00ce69",)
    clock.advance(1e6)
    assert await store.lease(1) == []
    assert await store.check_invariant() == []
    await store.put([new_user("00ce69", "a-better-password")])
    assert await store.lease(1) == ["00ce69"]
    [claim] = await store.claim(["00ce69"], "worker")
    assert claim.state == UserState(total_events_logged=5)
    assert claim.credentials
    assert claim.credentials.user_pw == "a-better-password"


async def test_a_batch_of_reports_is_told_apart(store: UserStore) -> None:
    await add(store, "000001", "000002", "000003", "000004")
    taken, asked_again, removed, parked = await claimed(store, "000001", "000002", "000003", "000004")
    await store.request(["000002"])
    await store.remove("000003")
    reports = [reported(claim) for claim in (taken, asked_again, removed)]
    reports.append(reported(parked, UserState(parked="refused")))
    answer = await store.report(reports, {})
    assert answer.again == {"000002"}
    assert answer.lost == {"000003"}
    totals = await store.totals()
    assert (totals.users, totals.due, totals.leased, totals.parked) == (3, 1, 1, 1)


# Asking for a fetch now -----------------------------------------------------------------------------------------------


async def test_an_idle_user_is_leased_at_once(store: UserStore, clock: HandClock) -> None:
    await add(store, "00ce69")
    await store.report([reported((await claimed(store, "00ce69"))[0])], {})
    answer = await store.request(["00ce69", "ffffff", "00ce69"])
    assert (answer.leased, answer.unknown) == (("00ce69",), ("ffffff",))
    assert len(await store.claim(["00ce69"], "worker")) == 1


async def test_a_flood_for_one_user_is_one_message(store: UserStore) -> None:
    await add(store, "000001", "000002")
    await store.lease(2)
    assert (await store.request(["000001"])).leased == ("000001",)
    for _ in range(3):
        assert (await store.request(["000001"])).marked == ("000001",)
    assert len(await store.claim(["000001"], "worker")) == 1


async def test_a_request_during_a_fetch_is_served_right_after_it(store: UserStore, clock: HandClock) -> None:
    await add(store, "00ce69")
    [claim] = await claimed(store, "00ce69")
    for _ in range(3):
        assert (await store.request(["00ce69"])).marked == ("00ce69",)
    clock.advance(2)
    state = UserState(total_events_logged=1)
    assert (await store.report([reported(claim, state)], {})).again == {"00ce69"}
    assert await lease_of(store, "00ce69") == clock.now() + LEASE
    assert await store.begin([claim]) == {"00ce69"}
    answer = await store.report([reported(claim, replace(state, total_events_logged=2))], {})
    assert (answer.again, answer.lost) == (frozenset(), frozenset())
    stored = await store.get("00ce69")
    assert stored
    assert stored.state.total_events_logged == 2


async def test_turns_missed_before_another_round_are_counted_once(store: UserStore, clock: HandClock) -> None:
    await add(store, "00ce69")
    grid = Grid(6.0, clock.now())
    [claim] = await claimed(store, "00ce69")
    await store.request(["00ce69"])
    clock.advance(13)
    first = await store.report([reported(claim, grid=grid)], {})
    second = await store.report([reported(claim, grid=grid)], {})
    assert (first.missed_turns, second.missed_turns) == (2, 0)


async def test_the_same_request_is_carried_out_once(store: UserStore, clock: HandClock) -> None:
    await add(store, "00ce69")
    assert (await store.request(["00ce69"], once="message-1")).leased == ("00ce69",)
    [claim] = await store.claim(["00ce69"], "worker")
    for _ in range(3):
        answer = await store.request(["00ce69", "ffffff"], once="message-1")
        assert answer.seen_before
        assert (answer.leased, answer.marked, answer.unknown, answer.parked) == ((), (), (), ())
    assert (await store.report([reported(claim)], {})).again == frozenset()
    assert (await store.request(["00ce69"], once="message-2")).leased == ("00ce69",)
    await store.forget("message-2")
    assert not (await store.request(["00ce69"], once="message-2")).seen_before


async def test_what_was_forgotten_may_be_asked_again_at_once(store: UserStore) -> None:
    await add(store, "00ce69", "002738", "ffffff")
    await store.request(["00ce69", "002738"], once="message")
    [held] = await store.claim(["002738"], "worker")
    await store.lease(1)  # the schedule has ffffff, and nobody asked for it
    await store.forget("message", ["00ce69", "002738", "ffffff", "abcdef"])
    totals = await store.totals()
    assert (totals.due, totals.overdue, totals.leased) == (1, 1, 2)
    asked_again = await store.request(["00ce69", "002738"], once="message")
    assert (asked_again.leased, asked_again.marked) == (("00ce69",), ("002738",))
    assert await store.begin([held]) == {"002738"}
    await store.forget(None, ["00ce69"])
    assert (await store.request(["00ce69"])).leased == ("00ce69",)
    assert await store.check_invariant() == []


async def test_a_thousand_users_in_one_request(store: UserStore) -> None:
    ids = [f"{number:06x}" for number in range(1000)]
    await store.put([new_user(cloud_id) for cloud_id in ids])
    assert (await store.request(ids)).leased == tuple(ids)
    claims = await store.claim(ids, "worker")
    assert len(await store.begin(claims)) == 1000
    answer = await store.report([reported(claim) for claim in claims], {})
    assert (answer.again, answer.lost) == (frozenset(), frozenset())
    assert (await store.totals()).due == 1000


# Holders --------------------------------------------------------------------------------------------------------------


async def test_a_dead_holders_users_are_due_again_at_once(store: UserStore, clock: HandClock) -> None:
    await add(store, *(f"{number:06x}" for number in range(1200)))
    ids = await store.lease(1200)
    await store.claim(ids[:1100], "dead")
    [other] = await store.claim(ids[1100:1101], "alive")
    assert sorted(await store.free("dead")) == sorted(ids[:1100])
    assert await store.free("dead") == []
    assert sorted(await store.lease(2000)) == sorted(ids[:1100])
    assert await store.begin([other]) == {other.cloud_id}


async def test_a_freed_user_keeps_the_start_of_its_last_request(store: UserStore, clock: HandClock) -> None:
    await add(store, "00ce69")
    claims = await claimed(store, "00ce69", holder="dead")
    await store.begin(claims)
    began = clock.now()
    clock.advance(0.5)
    await store.free("dead")
    assert await store.begin(claims) == frozenset()
    assert (await claimed(store, "00ce69"))[0].last_request == began


# Removed and updated while being fetched ------------------------------------------------------------------------------


async def test_a_report_about_a_removed_user_is_lost(store: UserStore) -> None:
    await add(store, "00ce69")
    [claim] = await claimed(store, "00ce69")
    assert await store.remove("00ce69")
    assert await store.begin([claim]) == frozenset()
    assert (await store.report([reported(claim)], {})).lost == {"00ce69"}
    assert await store.get("00ce69") is None
    assert (await store.totals()).users == 0


async def test_removed_and_added_again_it_waits_for_the_request_that_may_be_in_flight(
    store: UserStore, clock: HandClock
) -> None:
    await add(store, "00ce69")
    [old] = await claimed(store, "00ce69")
    await store.begin([old])
    began = clock.now()
    clock.advance(1)
    await store.remove("00ce69")
    await add(store, "00ce69")
    assert await store.begin([old]) == frozenset()
    assert (await store.report([reported(old)], {})).lost == {"00ce69"}
    assert await store.lease(1) == []
    assert (await store.request(["00ce69"])).leased == ()
    assert await store.claim(["00ce69"], "worker") == []
    clock.advance(LEASE - 1)
    assert await store.lease(1) == ["00ce69"]
    [new] = await store.claim(["00ce69"], "worker")
    assert new.token != old.token
    assert new.last_request == began


async def test_removed_while_idle_and_added_again_keeps_its_distance(store: UserStore, clock: HandClock) -> None:
    await add(store, "00ce69")
    claims = await claimed(store, "00ce69")
    await store.begin(claims)
    await store.report([reported(claims[0])], {})
    began = clock.now()
    clock.advance(0.25)
    await store.remove("00ce69")
    await add(store, "00ce69")
    assert (await claimed(store, "00ce69"))[0].last_request == began


async def test_old_credentials_do_not_park_a_user_who_was_updated_meanwhile(store: UserStore, clock: HandClock) -> None:
    await add(store, "00ce69")
    [claim] = await claimed(store, "00ce69")
    await store.put([new_user("00ce69", "a-better-password")])
    refused = UserState(total_events_logged=1, failures=3, last_error="refused", parked="refused")
    answer = await store.report([reported(claim, refused, pause=300.0)], {})
    assert answer.lost == frozenset()
    stored = await store.get("00ce69")
    assert stored
    assert stored.state == UserState(total_events_logged=1)
    assert stored.due == next_due(clock.now(), GRID)


async def test_whoever_asks_after_an_update_gets_the_new_credentials_tried(store: UserStore, clock: HandClock) -> None:
    await add(store, "00ce69")
    [claim] = await claimed(store, "00ce69")
    await store.put([new_user("00ce69", "a-better-password")])
    await store.request(["00ce69"])
    assert (await store.report([reported(claim)], {})).again == frozenset()
    assert await store.lease(1) == ["00ce69"]


async def test_an_update_ends_a_pause(store: UserStore, clock: HandClock) -> None:
    await add(store, "00ce69")
    [claim] = await claimed(store, "00ce69")
    await store.report([reported(claim, UserState(failures=9, last_error="busy"), pause=300.0)], {})
    await add(store, "00ce69")
    assert await due_of(store, "00ce69") == clock.now()
    await store.lease(1)
    await add(store, "00ce69")
    assert await due_of(store, "00ce69") is None


@pytest.mark.parametrize("late", [0.0, 5.999999, 6.0, 6.000001, 17.3, 1e6])
async def test_both_do_the_same_arithmetic(store: UserStore, clock: HandClock, late: float) -> None:
    grid = Grid(6.0, 0.7)
    await add(store, "00ce69")
    due = clock.now()
    await store.lease(1)
    [claim] = await store.claim(["00ce69"], "worker")
    now = clock.advance(late)
    answer = await store.report([reported(claim, grid=grid)], {})
    assert answer.missed_turns == missed_turns(due, now, grid)
    assert await due_of(store, "00ce69") == next_due(now, grid)


# The relay as a whole -------------------------------------------------------------------------------------------------

AWAY = Breaker(Phase.OPEN, 7.25, (Sample(7.25, 20, 19), Sample(8.5, 21, 20)))


async def test_the_breaker_is_closed_until_somebody_opens_it(store: UserStore) -> None:
    assert await store.breaker() == Breaker()
    await store.set_breaker(AWAY)
    assert await store.breaker() == AWAY


async def test_while_the_relay_is_away_no_failure_is_held_against_a_user(store: UserStore, clock: HandClock) -> None:
    await add(store, "000001", "000002")
    [own, relays] = await claimed(store, "000001", "000002")
    await store.report([reported(relays, replace(relays.state, failures=2, last_error="refused"))], {})
    [relays] = await claimed(store, "000002")
    assert (await store.totals()).failing == 1
    await store.set_breaker(AWAY)
    parked = replace(own.state, failures=3, last_error="refused", parked="refused", total_events_logged=5)
    await store.report([reported(own, parked), replace(reported(relays, parked, pause=60.0), blames_relay=True)], {})
    mine, other = await store.get("000001"), await store.get("000002")
    assert mine is not None
    assert other is not None
    assert mine.state == parked
    assert other.state == replace(parked, failures=2, last_error="refused", parked=None)
    assert other.due is not None
    assert clock.now() + 60 < other.due <= clock.now() + 66
    await store.set_breaker(Breaker())
    [again] = await claimed(store, "000002")
    await store.report([replace(reported(again, parked), blames_relay=True)], {})
    assert (await store.totals()).parked == 2


# Whose reply kills ----------------------------------------------------------------------------------------------------


class Fleet:
    """A store's users fetched by a worker that dies whenever it has somebody guilty in its hands, and is started again."""

    def __init__(self, store: UserStore, clock: HandClock, size: int, guilty: set[str]) -> None:
        self.store, self.clock, self.guilty = store, clock, guilty
        self.ids = [f"{number:06x}" for number in range(size)]
        self.deaths = 0
        self.always_dies = False

    async def second(self) -> None:
        self.clock.advance(1.0)
        claims = await self.store.claim(await self.store.lease(1000), "worker")
        for claim in claims:
            if is_convicted(claim.abandoned):
                await self.store.report([reported(claim, replace(claim.state, failures=1, parked="poison"))], {})
        left = [claim for claim in claims if not is_convicted(claim.abandoned)]
        if left and (self.always_dies or not self.guilty.isdisjoint(claim.cloud_id for claim in left)):
            self.deaths += 1
            await self.store.free("worker")
            return
        await self.store.report([reported(claim) for claim in left], {})

    async def parked(self) -> set[str]:
        return {one.user.cloud_id async for page in self.store.all() for one in page if one.state.parked}


@pytest.mark.parametrize("size", [1, 2, 30, 200])
async def test_who_kills_is_parked_after_few_deaths_and_nobody_else_is(store: UserStore, clock: HandClock, size: int) -> None:
    fleet = Fleet(store, clock, size, {"000000"})
    await add(store, *fleet.ids)
    for _ in range(90):
        await fleet.second()
    assert await fleet.parked() == {"000000"}
    assert fleet.deaths <= CONVICTED_AFTER + 3
    assert (await store.totals()).due + (await store.totals()).leased == size - 1
    if size > 1:
        [one] = await claimed(store, "000001")
        assert one.abandoned == 0
        await store.report([reported(one)], {})

    fleet.guilty.clear()
    await add(store, "000000")
    for _ in range(7):
        await fleet.second()
    woken = await store.get("000000")
    assert woken is not None
    assert woken.state.parked is None
    assert woken.due is not None


async def test_two_who_kill_are_both_found_out(store: UserStore, clock: HandClock) -> None:
    fleet = Fleet(store, clock, 60, {"000007", "000033"})
    await add(store, *fleet.ids)
    for _ in range(150):
        await fleet.second()
    assert await fleet.parked() == {"000007", "000033"}
    assert fleet.deaths <= 2 * CONVICTED_AFTER + 3


async def test_a_worker_that_always_dies_makes_nobody_guilty(store: UserStore, clock: HandClock) -> None:
    """It is killed by hand, or falls over by itself: once that ends, everybody is fetched again."""
    fleet = Fleet(store, clock, 20, set())
    await add(store, *fleet.ids)
    fleet.always_dies = True
    for _ in range(300):
        await fleet.second()
    assert fleet.deaths > 40
    fleet.always_dies = False
    for _ in range(60):
        await fleet.second()
    assert await fleet.parked() == set()
    assert {claim.abandoned for claim in await claimed(store, *fleet.ids)} == {0}


# A clock that is set ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [-3600.0, 3600.0, -86400.0])
async def test_a_clock_that_is_set_keeps_nobody_waiting(store: UserStore, clock: HandClock, step: float) -> None:
    """One waits for its turn, one is in a worker's hands, one was handed out and is not claimed yet."""
    await add(store, "000001", "000002", "000003")
    [first] = await claimed(store, "000001")
    await store.report([reported(first, pause=20.0)], {})
    assert await store.lease(10) == ["000002", "000003"]
    [second] = await store.claim(["000002"], "worker")
    assert await store.begin([second]) == {"000002"}
    clock.advance(step)
    leased = set[str]()
    for _ in range(40):
        clock.advance(1.0)
        leased.update(await store.lease(10))
    assert leased == {"000001", "000002", "000003"}
    for claim in await store.claim(sorted(leased), "worker"):
        assert claim.last_request is None or claim.last_request <= claim.claimed_at
        await store.report([reported(claim)], {})


async def test_what_is_given_back_after_the_clock_was_set_back_is_due(store: UserStore, clock: HandClock) -> None:
    await add(store, "000001", "000002")
    assert (await store.request(["000001"])).leased == ("000001",)
    assert [claim.cloud_id for claim in await claimed(store, "000002")] == ["000002"]
    clock.advance(-3600.0)
    await store.forget(None, ["000001"])
    assert await store.free("worker") == ["000002"]
    assert await store.lease(10) == ["000001", "000002"]
    assert await store.free("worker") == []
