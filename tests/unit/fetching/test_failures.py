"""What a failed visit costs its user, and that it costs no other user anything."""

from __future__ import annotations

import pytest

from eagle_logger.core.kinds import Kind
from eagle_logger.core.line_format import parse_line
from eagle_logger.core.users import Credentials
from eagle_logger.errors import Refused, RelayUnavailable, Unreadable
from eagle_logger.rainforest.source import Decoded, ReplyProblem, UnreadableReply
from tests.support.scripted_relay import demand, holding
from tests.unit.fetching.world import DEMAND_ONLY, HOME, OTHER, World


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        (RelayUnavailable("busy", reason="busy"), "busy"),
        (Unreadable("<Nonsense>"), "unreadable"),
        (ZeroDivisionError("a bug"), "internal_error"),
    ],
)
async def test_one_users_failure_stays_its_own(
    world: World, failure: Exception, outcome: str
) -> None:
    await world.add(HOME, OTHER)
    world.relay.fails(HOME, failure)
    world.relay.always(OTHER, demand(int(await world.store.fleet.now())))
    message = await world.logger.run_cycle(await world.lease(HOME, OTHER))
    assert message.counts == {"fetched": 1, outcome: 1}
    assert message.failed == {HOME: outcome}
    assert (await world.store.fleet.tally())[f"failed_{outcome}"] == 1
    assert len(world.logs.all) == 1


async def test_an_unreadable_reply_leaves_a_sample(world: World) -> None:
    await world.add(HOME)
    world.relay.fails(
        HOME,
        UnreadableReply(
            ReplyProblem("unknown_root", "an unknown root element", sample="<Nonsense>")
        ),
    )
    worker = world.worker("fetch-2")
    await worker.run_cycle(await world.lease(HOME))
    await worker.close()
    assert world.samples.kept == [(HOME, "unknown_root: <Nonsense>")]


async def test_an_unreadable_reply_does_not_keep_the_other_kinds_from_being_asked(
    world: World,
) -> None:
    await world.add(HOME)
    reading = demand(int(await world.store.fleet.now()))._replace(kind=Kind.SUMMATION)

    async def answer(_: Credentials, kind: Kind) -> Decoded:
        if kind is Kind.DEMAND:
            raise UnreadableReply(
                ReplyProblem("truncated", "no end of its own", sample="<InstantaneousDem")
            )
        return holding(reading)

    world.relay.answers[HOME] = answer
    worker = world.worker("fetch-2", intervals={**DEMAND_ONLY, Kind.SUMMATION: 6.0})
    message = await worker.run_cycle(await world.lease(HOME))
    await worker.close()
    assert [parse_line(line.rstrip()).identity.kind for line in world.logs.all] == [Kind.SUMMATION]
    assert message.counts == {"partly_fetched": 1}
    assert (await world.store.fleet.tally())["failed_unreadable"] == 1
    assert (await world.store.fleet.tally())["problems_truncated"] == 1
    assert world.samples.kept == [(HOME, "truncated: <InstantaneousDem")]


async def test_only_three_refusals_in_a_row_park_a_user(world: World) -> None:
    await world.add_new(HOME)

    async def visit() -> str | None:
        await world.logger.run_cycle(await world.lease(HOME))
        return (await world.stored(HOME)).state.parked

    world.relay.fails(HOME, Refused("bad password"))
    assert [await visit(), await visit()] == [None, None]
    world.relay.fails(HOME, RelayUnavailable("busy", reason="busy"))
    assert await visit() is None
    world.relay.fails(HOME, Refused("bad password"))
    assert [await visit(), await visit()] == [None, None]
    assert await visit() == "refused: bad password"
    assert await world.lease(HOME) == [], "a parked user is not fetched any more"
    await world.add(HOME)
    assert await world.lease(HOME) == [HOME], "an updated user is not parked any more"


async def visit_again(world: World, times: int) -> list[tuple[int, str | None, float | None]]:
    """After each visit: the failures, why the user is parked, and the seconds to its next visit."""
    results = []
    for _ in range(times):
        await world.logger.run_cycle(await world.lease(HOME))
        stored = await world.stored(HOME)
        wait = None if stored.due is None else stored.due - await world.store.fleet.now()
        results.append((stored.state.failures, stored.state.parked, wait))
    return results


async def test_credentials_that_have_worked_are_asked_again_and_never_parked(world: World) -> None:
    await world.add(HOME)
    world.relay.always(HOME, demand(int(await world.store.fleet.now())))
    await visit_again(world, 1)
    world.relay.fails(HOME, Refused("the relay refuses this user: status 401"))
    results = await visit_again(world, 6)
    assert [(failures, parked) for failures, parked, _ in results] == [
        (number, None) for number in range(1, 7)
    ]
    waits = [wait for _, _, wait in results if wait is not None]
    assert [round(wait / 60) for wait in waits] == [0, 0, 5, 15, 60, 60]
    assert (await world.store.fleet.totals()).refused == 1
    error = (await world.stored(HOME)).state.last_error or ""
    assert error.startswith(
        "refused: the relay refuses this user: status 401; these credentials have worked, so the "
        "relay is asked again"
    )
    assert "`eagle-logger users wake`" in error
    assert "`eagle-logger users add`" in error
    world.relay.always(HOME, demand(int(await world.store.fleet.now()) + 6))
    [(failures, _, _)] = await visit_again(world, 1)
    assert failures == 0
    assert (await world.store.fleet.totals()).refused == 0


async def test_a_new_password_that_was_never_accepted_is_parked_when_it_is_refused(
    world: World,
) -> None:
    await world.add(HOME)
    world.relay.always(HOME, demand(int(await world.store.fleet.now())))
    await visit_again(world, 1)
    await world.add_new(HOME)
    world.relay.fails(HOME, Refused("the relay refuses this user: status 401"))
    assert [bool(parked) for _, parked, _ in await visit_again(world, 3)] == [False, False, True]


async def test_a_user_whose_replies_kill_the_process_is_parked_without_a_request(
    world: World,
) -> None:
    await world.add(HOME)
    claim = await world.claim(HOME)
    visit = await world.logger.visit(claim._replace(abandoned=5))
    await world.logger.log_and_report([visit])
    assert world.relay.asked[HOME] == []
    assert ((await world.stored(HOME)).state.parked or "").startswith(
        "poison: 5 processes in a row died while they fetched it"
    )
    assert (await world.store.fleet.tally())["failed_poison"] == 1


async def test_a_user_whose_record_cannot_be_read_is_not_asked_and_its_error_says_why(
    world: World,
) -> None:
    await world.add(HOME)
    claim = await world.claim(HOME)
    broken = claim._replace(
        credentials=None, record_unreadable="the record cannot be read: a member has the wrong type"
    )
    visit = await world.logger.visit(broken)
    await world.logger.log_and_report([visit])
    assert world.relay.asked[HOME] == []
    assert visit.pause == 60.0
    error = (await world.stored(HOME)).state.last_error or ""
    assert "add the user again with `eagle-logger users add`" in error
    assert (await world.store.fleet.tally())["failed_record_unreadable"] == 1
    assert not visit.blames_relay


async def test_readings_without_room_in_their_hour_are_counted_and_the_user_is_fetched_again(
    world: World,
) -> None:
    await world.add(HOME)
    world.logs.most_lines_an_hour = 1
    now = int(await world.store.fleet.now())
    world.relay.always(
        HOME, *(demand(now)._replace(meter=f"{number:#018x}") for number in range(3))
    )
    message = await world.logger.run_cycle(await world.lease(HOME))
    assert message.failed == {HOME: "too_much"}
    assert len(world.logs.all) == 1
    tally = await world.store.fleet.tally()
    assert (tally["readings_logged"], tally["readings_left_out"]) == (1, 2)
    assert tally["problems_too_much"] == 1
    stored = await world.stored(HOME)
    assert "2 readings were not written" in (stored.state.last_error or "")
    assert stored.due is not None
    assert not stored.state.parked


SENTINEL = ReplyProblem(
    "sentinel", "InstantaneousDemand: Demand is 0xffffff", sample="<InstantaneousDemand/>"
)


async def test_a_visit_whose_replies_hold_only_problems_has_failed(world: World) -> None:
    await world.add(HOME)

    async def answer(_: Credentials, __: Kind) -> Decoded:
        return Decoded((), (SENTINEL,), known=True)

    world.relay.answers[HOME] = answer
    visit = await world.logger.visit(await world.claim(HOME))
    assert not visit.blames_relay, "the relay and the gateway have answered"
    await world.logger.log_and_report([visit])
    state = (await world.stored(HOME)).state
    error = "only_problems: no reading, but InstantaneousDemand: Demand is 0xffffff"
    assert (state.last_error, state.failures) == (error, 1)
    assert visit.pause == 0.0, "the next visit after the first failure is not put off"
    tally = await world.store.fleet.tally()
    assert (tally["failed_only_problems"], tally["problems_sentinel"]) == (1, 1)


async def test_a_problem_beside_a_known_reading_is_no_failure(world: World) -> None:
    await world.add(HOME)
    known = demand(int(await world.store.fleet.now()))

    async def answer(_: Credentials, __: Kind) -> Decoded:
        return Decoded((known,), (SENTINEL,), known=True)

    world.relay.answers[HOME] = answer
    for _ in range(2):
        message = await world.logger.run_cycle(await world.lease(HOME))
        assert message.counts == {"fetched": 1}
    assert len(world.logs.all) == 1


async def test_an_empty_reply_is_no_failure(world: World) -> None:
    await world.add(HOME)

    async def answer(_: Credentials, __: Kind) -> Decoded:
        return Decoded((), (), known=True)

    world.relay.answers[HOME] = answer
    message = await world.logger.run_cycle(await world.lease(HOME))
    assert message.counts == {"fetched": 1}
