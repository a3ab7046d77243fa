"""Visits keep the estimate of a meter's rhythm, and their reports follow it."""

from __future__ import annotations

from collections import Counter

import pytest

from eagle_logger.clock import Clock
from eagle_logger.core.in_step import Turns
from eagle_logger.core.kinds import Kind
from eagle_logger.core.rhythm import NO_RHYTHM, Rhythm
from eagle_logger.core.schedule import Grid
from eagle_logger.core.users import User, UserState
from eagle_logger.fetching.process_limits import ProcessLimits
from eagle_logger.fetching.request_pacing import RequestPacing
from eagle_logger.fetching.visit import Visit
from eagle_logger.users.store import Claim
from tests.support.scripted_relay import demand, holding

NOW = 1_800_000_000.0
PLAIN = Grid(6.0, 1.0)
KNOWN = Rhythm(
    seen=1_799_999_987,
    asked=NOW - 8,
    gaps=(8,) * 8,
    period=8.0,
    beat=NOW - 13,
    delay=3.6,
    spread=0.6,
    delays=80,
    fits=2,
    credit=2.0,
    asks=1,
)


def visited(rhythm: Rhythm, newest: int | None, *, may_follow: bool = True) -> Visit:
    """A visit whose only request showed this reading, or failed."""
    state = UserState(rhythm=rhythm)
    claim = Claim("00ce69", 1, NOW, NOW, None, User("00ce69"), None, state)
    visit = Visit(claim, Turns(PLAIN, may_follow=may_follow))
    if newest is not None:
        visit.note_reply(Kind.DEMAND, holding(demand(newest)), NOW, asked=NOW, took=0.2)
    visit.note_requested(Kind.DEMAND, NOW)
    visit.note_requests(RequestPacing(claim, Clock(), ProcessLimits()))
    return visit


def test_a_report_follows_a_known_rhythm() -> None:
    visit = visited(KNOWN, int(NOW) - 5)
    report = visit.report()
    assert report.state.rhythm.seen == int(NOW) - 5
    assert report.grid.period == pytest.approx(8, abs=0.1)
    assert NOW + 5 < report.grid.phase < NOW + 9
    assert report.pause == 0
    tally: Counter[str] = Counter()
    visit.add_to(tally)
    assert (tally["polls"], tally["readings_polled"], tally["visits_in_step"]) == (1, 1, 1)


def test_a_reading_that_is_not_there_yet_is_asked_for_once_more() -> None:
    visit = visited(KNOWN._replace(asks=1), KNOWN.seen)
    assert visit.report().state.rhythm.asks == 2
    assert NOW < visit.report().grid.phase < NOW + 6
    tally: Counter[str] = Counter()
    visit.add_to(tally)
    assert (tally["polls"], tally["readings_polled"]) == (1, 0)


def test_a_user_that_may_not_follow_keeps_its_grid_and_learns_all_the_same() -> None:
    report = visited(KNOWN, int(NOW) - 5, may_follow=False).report()
    assert report.grid == PLAIN
    assert report.state.rhythm.seen == int(NOW) - 5


def test_the_first_request_teaches_no_rhythm_and_a_request_without_a_reply_only_counts() -> None:
    assert visited(NO_RHYTHM, int(NOW) - 5).report().grid == PLAIN
    failed = visited(KNOWN, None)
    assert failed.state.rhythm._replace(asked=KNOWN.asked, asks=1, credit=2.0) == KNOWN


def test_readings_of_another_kind_teach_nothing() -> None:
    state = UserState(rhythm=KNOWN)
    claim = Claim("00ce69", 1, NOW, NOW, None, User("00ce69"), None, state)
    visit = Visit(claim, Turns(PLAIN, may_follow=True))
    visit.note_reply(Kind.SUMMATION, holding(), NOW, asked=NOW)
    visit.note_requested(Kind.SUMMATION, NOW)
    assert visit.state.rhythm == KNOWN
