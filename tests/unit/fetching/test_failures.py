"""What a failure costs, and whom."""

from __future__ import annotations

import pytest

from eagle_logger.core.kinds import Kind
from eagle_logger.core.line_format import parse_line
from eagle_logger.core.users import Credentials, User
from eagle_logger.errors import (
    Refused,
    RelayUnavailable,
    Unreadable,
)
from eagle_logger.rainforest.source import Decoded, ReplyProblem, UnreadableReply
from eagle_logger.users.store import NewUser
from tests.support.scripted_relay import demand, holding
from tests.unit.fetching.world import DEMAND_ONLY, HOME, OTHER, World


@pytest.mark.parametrize(
    ("wrong", "outcome"),
    [
        (RelayUnavailable("busy", reason="busy"), "busy"),
        (Unreadable("<Nonsense>"), "unreadable"),
        (ZeroDivisionError("a bug of ours"), "internal_error"),
    ],
)
async def test_one_users_failure_stays_its_own(
    world: World, wrong: Exception, outcome: str
) -> None:
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
    world.relay.fails(
        HOME,
        UnreadableReply(ReplyProblem("unknown_root", "a word we do not know", sample="<Nonsense>")),
    )
    worker = world.worker("fetch-2")
    await worker.get_new_rainforest_data(await world.lease(HOME))
    await worker.close()
    assert world.samples.kept == [(HOME, "unknown_root: <Nonsense>")]


async def test_a_reply_that_cannot_be_read_does_not_keep_the_other_kinds_from_being_asked(
    world: World,
) -> None:
    await world.add(HOME)
    told = demand(int(await world.store.now()))._replace(kind=Kind.SUMMATION)

    async def answer(_: Credentials, kind: Kind) -> Decoded:
        if kind is Kind.DEMAND:
            raise UnreadableReply(
                ReplyProblem("truncated", "no end of its own", sample="<InstantaneousDem")
            )
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


async def add_new(world: World) -> None:
    """A user whose credentials never worked."""
    await world.store.put(
        [NewUser(User(HOME), Credentials(HOME, "someone@example.org", "not a real one"))]
    )


async def test_three_refusals_in_a_row_park_a_user_and_one_answer_between_does_not(
    world: World,
) -> None:
    await add_new(world)

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


async def visits(world: World, count: int) -> list[tuple[int, str | None, float | None]]:
    """Failures, why parked, and how long until the next turn, after each."""
    seen = []
    for _ in range(count):
        await world.logger.get_new_rainforest_data(await world.lease(HOME))
        stored = await world.store.get(HOME)
        assert stored is not None
        wait = None if stored.due is None else stored.due - await world.store.now()
        seen.append((stored.state.failures, stored.state.parked, wait))
    return seen


async def test_credentials_that_have_worked_are_asked_again_and_never_parked(world: World) -> None:
    await world.add(HOME)
    world.relay.always(HOME, demand(int(await world.store.now())))
    await visits(world, 1)
    world.relay.fails(HOME, Refused("the relay refuses this user: status 401"))
    seen = await visits(world, 6)
    assert [(failures, parked) for failures, parked, _ in seen] == [
        (number, None) for number in range(1, 7)
    ]
    waits = [wait for _, _, wait in seen if wait is not None]
    assert [round(wait / 60) for wait in waits] == [0, 0, 5, 15, 60, 60]
    assert (await world.store.totals()).refused == 1
    stored = await world.store.get(HOME)
    assert stored is not None
    error = stored.state.last_error or ""
    assert error.startswith(
        "refused: the relay refuses this user: status 401; these credentials have worked, so the relay is asked again"
    )
    assert "`eagle-logger users wake`" in error
    assert "`eagle-logger users add`" in error
    world.relay.always(HOME, demand(int(await world.store.now()) + 6))
    [(failures, _, _)] = await visits(world, 1)
    assert failures == 0
    assert (await world.store.totals()).refused == 0


async def test_a_new_password_must_prove_itself(world: World) -> None:
    await world.add(HOME)
    world.relay.always(HOME, demand(int(await world.store.now())))
    await visits(world, 1)
    await add_new(world)
    world.relay.fails(HOME, Refused("the relay refuses this user: status 401"))
    assert [bool(parked) for _, parked, _ in await visits(world, 3)] == [False, False, True]


async def test_whose_reply_kills_is_parked_unasked(world: World) -> None:
    await world.add(HOME)
    await world.lease(HOME)
    [claim] = await world.logger.fetch_user_info([HOME])
    visit = await world.logger.fetch_data(claim._replace(abandoned=5))
    await world.logger.update_user_info([visit])
    assert world.relay.asked[HOME] == []
    stored = await world.store.get(HOME)
    assert stored is not None
    assert (stored.state.parked or "").startswith(
        "poison: 5 processes in a row died while they fetched it"
    )
    assert (await world.store.tally())["failed_poison"] == 1


async def test_a_user_whose_record_cannot_be_read_is_not_asked_and_says_why(world: World) -> None:
    await world.add(HOME)
    await world.lease(HOME)
    [claim] = await world.logger.fetch_user_info([HOME])
    broken = claim._replace(
        credentials=None, record_unreadable="the record cannot be read: a member has the wrong type"
    )
    visit = await world.logger.fetch_data(broken)
    await world.logger.update_user_info([visit])
    assert world.relay.asked[HOME] == []
    assert visit.pause == 60.0
    stored = await world.store.get(HOME)
    assert stored is not None
    assert "add the user again with `eagle-logger users add`" in (stored.state.last_error or "")
    assert (await world.store.tally())["failed_record_unreadable"] == 1
    assert not visit.blames_relay


async def test_readings_without_room_in_their_hour_are_counted_and_told_and_the_user_goes_on(
    world: World,
) -> None:
    await world.add(HOME)
    world.logs.most_lines = 1
    now = int(await world.store.now())
    world.relay.always(
        HOME, *(demand(now)._replace(meter=f"{number:#018x}") for number in range(3))
    )
    said = await world.logger.get_new_rainforest_data(await world.lease(HOME))
    assert said.failed == {HOME: "too_much"}
    assert len(world.logs.all) == 1
    tally = await world.store.tally()
    assert (tally["readings_logged"], tally["readings_left_out"], tally["problems_too_much"]) == (
        1,
        2,
        1,
    )
    stored = await world.store.get(HOME)
    assert stored is not None
    assert "2 readings were not written" in (stored.state.last_error or "")
    assert stored.due is not None
    assert not stored.state.parked


SENTINEL = ReplyProblem(
    "sentinel", "InstantaneousDemand: Demand is 0xffffff", sample="<InstantaneousDemand/>"
)


async def test_a_home_that_answers_with_problems_only_has_failed(world: World) -> None:
    await world.add(HOME)

    async def answer(_: Credentials, __: Kind) -> Decoded:
        return Decoded((), (SENTINEL,), known=True)

    world.relay.answers[HOME] = answer
    [claim] = await world.logger.fetch_user_info(await world.lease(HOME))
    visit = await world.logger.fetch_data(claim)
    assert not visit.blames_relay, "the relay and the gateway have answered"
    await world.logger.update_user_info([visit])
    stored = await world.store.get(HOME)
    assert stored is not None
    assert (
        stored.state.last_error
        == "only_problems: no reading, but InstantaneousDemand: Demand is 0xffffff"
    )
    assert (stored.state.failures, visit.pause) == (1, 0.0), "once costs nothing but the turn"
    tally = await world.store.tally()
    assert (tally["failed_only_problems"], tally["problems_sentinel"]) == (1, 1)


async def test_a_problem_beside_a_reading_that_is_known_already_is_no_failure(world: World) -> None:
    await world.add(HOME)
    known = demand(int(await world.store.now()))

    async def answer(_: Credentials, __: Kind) -> Decoded:
        return Decoded((known,), (SENTINEL,), known=True)

    world.relay.answers[HOME] = answer
    for logged in (1, 1):
        said = await world.logger.get_new_rainforest_data(await world.lease(HOME))
        assert said.counts == {"fetched": 1}
        assert len(world.logs.all) == logged


async def test_a_home_that_has_nothing_to_say_has_not_failed(world: World) -> None:
    await world.add(HOME)

    async def answer(_: Credentials, __: Kind) -> Decoded:
        return Decoded((), (), known=True)

    world.relay.answers[HOME] = answer
    said = await world.logger.get_new_rainforest_data(await world.lease(HOME))
    assert said.counts == {"fetched": 1}
