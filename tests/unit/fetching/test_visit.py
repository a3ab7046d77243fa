"""What a visit makes of the replies it gets: lines, flags, problems and the user's next state."""

from __future__ import annotations

import json
from collections import Counter

from eagle_logger.core.in_step import Turns
from eagle_logger.core.kinds import Kind
from eagle_logger.core.schedule import Grid, kinds_due
from eagle_logger.core.users import User, UserState
from eagle_logger.errors import Refused
from eagle_logger.fetching.visit import Visit
from eagle_logger.rainforest.decoding.decode import decode
from eagle_logger.rainforest.source import Decoded
from eagle_logger.users.store import Claim
from tests.unit.rainforest.decoding.quirks.quirk import MOMENT, demand, message, price, summation

TURNS = Turns(Grid(6.0, 0.0))


def new_visit(state: UserState | None = None) -> Visit:
    return Visit(
        Claim(
            "00ce69", 1, 0.0, 0.0, None, User("00ce69"), None, state or UserState(), unproven=True
        ),
        TURNS,
    )


def flags_of(visit: Visit) -> list[list[str]]:
    return [json.loads(line)["flags"] for lines in visit.lines.values() for line in lines]


def test_a_counter_that_falls_is_flagged_backwards() -> None:
    visit = new_visit()
    counters = [
        ("0x100", "0x200", "0x1c91ec39"),
        ("0x101", "0x1ff", "0x1c91ed29"),
        ("0x101", "0x200", "0x1c91ee19"),
        ("0x1", "0x200", "0x1c91ef09"),
    ]
    for delivered, received, time in counters:
        reply = summation(
            f"SummationDelivered={delivered}", f"SummationReceived={received}", time=time
        )
        visit.note_reply(Kind.SUMMATION, decode(reply), MOMENT + 800, asked=MOMENT)
    assert flags_of(visit) == [[], ["backwards"], [], ["backwards"]]


def test_a_user_answered_in_this_visit_is_not_refused_for_its_credentials() -> None:
    visit = new_visit(UserState(failures=2, last_error="refused: status 401"))
    visit.note_reply(Kind.PRICE, decode(b"<PriceCluster/>"), MOMENT, asked=MOMENT)
    visit.fail(Refused("the relay refuses this user: status 401"))
    assert (
        visit.state.last_error == "answered, then refused: the relay refuses this user: status 401"
    )
    assert visit.state.parked is None
    assert visit.pause < 60


def test_a_reading_that_stands_twice_in_one_reply_is_logged_once() -> None:
    visit = new_visit()
    reply = summation("SummationDelivered=0x1")
    visit.note_reply(
        Kind.SUMMATION,
        decode(reply + reply.replace(b"CurrentSummation", b"CurrentSummationDelivered")),
        MOMENT,
        asked=MOMENT,
    )
    assert len(visit.readings) == 1


def price_reply(cents: int, time: str = "0xffffffff") -> Decoded:
    return decode(price(f"Price=0x{cents:02x}", "TrailingDigits=2", "Currency=0x0348", time=time))


def lines_of(visit: Visit) -> list[dict[str, object]]:
    return [
        json.loads(line, parse_float=str, parse_int=str)
        for lines in visit.lines.values()
        for line in lines
    ]


def test_a_price_without_a_time_is_logged_under_its_arrival_whenever_it_changes() -> None:
    visit = new_visit()
    for number, cents in enumerate([25, 25, 25, 26, 26, 25, 25]):
        visit.note_reply(Kind.PRICE, price_reply(cents), MOMENT + 900 * number + 0.75, asked=MOMENT)
    logged = [
        (line["price"], line["time"], line["arrived"], line["flags"]) for line in lines_of(visit)
    ]
    assert logged == [
        ("0.25", "2015-03-10T17:54:01Z", "2015-03-10T17:54:01.750Z", ["filed_by_arrival"]),
        ("0.26", "2015-03-10T18:39:01Z", "2015-03-10T18:39:01.750Z", ["filed_by_arrival"]),
        ("0.25", "2015-03-10T19:09:01Z", "2015-03-10T19:09:01.750Z", ["filed_by_arrival"]),
    ]
    assert [hour.name for _, hour in visit.lines] == [
        "2015-03-10-17",
        "2015-03-10-18",
        "2015-03-10-19",
    ]
    assert visit.problems == []


def test_a_price_without_a_time_that_repeats_the_last_one_with_a_time_is_not_logged() -> None:
    visit = new_visit()
    for cents, time in [
        (25, "0x1c91ec39"),
        (25, "0xffffffff"),
        (26, "0xffffffff"),
        (26, "0x1c91ecff"),
        (25, "0x1c91ec39"),
    ]:
        visit.note_reply(Kind.PRICE, price_reply(cents, time), MOMENT + 300, asked=MOMENT)
    assert [(line["price"], line["flags"]) for line in lines_of(visit)] == [
        ("0.25", []),
        ("0.26", ["filed_by_arrival"]),
        ("0.26", []),
        ("0.25", []),
    ]


def test_without_its_state_a_price_without_a_time_is_logged_once_more() -> None:
    visit, forgetful = new_visit(), new_visit()
    visit.note_reply(Kind.PRICE, price_reply(25), MOMENT, asked=MOMENT)
    forgetful.note_reply(Kind.PRICE, price_reply(25), MOMENT + 900, asked=MOMENT)
    assert len(visit.readings) == len(forgetful.readings) == 1


def test_a_summation_without_a_time_that_falls_is_flagged_backwards() -> None:
    visit = new_visit()
    for number, delivered in enumerate(["0x100", "0x101", "0xff"]):
        reply = summation(f"SummationDelivered={delivered}", time="")
        visit.note_reply(Kind.SUMMATION, decode(reply), MOMENT + 900 * number, asked=MOMENT)
    assert flags_of(visit) == [
        ["filed_by_arrival"],
        ["filed_by_arrival"],
        ["backwards", "filed_by_arrival"],
    ]


def test_a_demand_without_a_time_stays_a_problem() -> None:
    visit = new_visit()
    visit.note_reply(
        Kind.DEMAND, decode(demand("Demand=0x1", time="0xffffffff")), MOMENT, asked=MOMENT
    )
    assert (visit.lines, [problem.what for problem in visit.problems]) == ({}, ["no_time"])


def test_an_empty_message_and_an_unset_price_are_neither_logged_nor_a_problem() -> None:
    visit = new_visit()
    for number in range(96):
        visit.note_reply(
            Kind.MESSAGE,
            decode(message("Id=0x00000000", "Queue=active", time="0x00000000")),
            MOMENT + number,
            asked=MOMENT,
        )
        visit.note_reply(
            Kind.PRICE,
            decode(price("Price=0xffffffff", "TrailingDigits=0x0f", time="0xffffffff")),
            MOMENT,
            asked=MOMENT,
        )
    assert (visit.lines, visit.problems) == ({}, [])


def next_visit(visit: Visit, at: float) -> Visit:
    return Visit(visit.claim._replace(state=visit.state, claimed_at=at), TURNS)


def answered_then_hung(visit: Visit, number: int) -> Visit:
    """The demand comes, and then the summation takes too long."""
    visit.note_asked(Kind.DEMAND)
    reply = demand("Demand=0x0003b0", time=f"0x{0x1C91EC39 + 8 * number:08x}")
    visit.note_reply(Kind.DEMAND, decode(reply), MOMENT + 8 * number, asked=MOMENT)
    visit.note_asked(Kind.SUMMATION)
    visit.fail(TimeoutError())
    return visit


def test_a_visit_that_timed_out_is_a_failure_even_if_it_brought_readings() -> None:
    first = answered_then_hung(new_visit(), 0)
    assert (first.outcome, first.state.failures, len(first.readings)) == ("timed_out", 1, 1)
    assert first.pause == 0.0, "the next visit after the first failure is not put off"
    assert Kind.SUMMATION not in first.state.asked, "the next visit asks for it again"
    second = answered_then_hung(next_visit(first, MOMENT + 8), 1)
    assert second.state.failures == 2
    assert second.pause > 0.0


def test_a_kind_that_is_never_answered_waits_for_its_own_turn() -> None:
    second = answered_then_hung(next_visit(answered_then_hung(new_visit(), 0), MOMENT + 8), 1)
    intervals = {Kind.DEMAND: 6.0, Kind.SUMMATION: 240.0, Kind.PRICE: 1e9, Kind.MESSAGE: 1e9}
    now = second.claim.claimed_at + 1
    assert Kind.SUMMATION not in kinds_due("00ce69", intervals, second.state.asked, now)
    third = next_visit(second, now)
    third.note_asked(Kind.DEMAND)
    third.note_reply(
        Kind.DEMAND, decode(demand("Demand=0x0003b1", time="0x1c91ec60")), MOMENT + 40, asked=MOMENT
    )
    third.finish()
    assert (third.state.failures, third.state.last_error, third.pause) == (0, None, 0.0)


def test_a_state_that_cannot_be_read_is_counted_as_a_problem() -> None:
    damaged = new_visit().claim._replace(state_unreadable="the state cannot be read: it is cut off")
    tally: Counter[str] = Counter()
    Visit(damaged, TURNS).add_to(tally)
    assert tally["problems_state_unreadable"] == 1
