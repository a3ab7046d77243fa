from __future__ import annotations

import json

import pytest

from eagle_logger.cli.status_text import (
    fleet_json,
    rhythm_in_words,
    state_in_words,
    totals_in_words,
)
from eagle_logger.core.kinds import Kind
from eagle_logger.core.rhythm import Rhythm
from eagle_logger.inspection.fleet_status import LateDay, TooMuch, UnarchivedHour, reasons
from eagle_logger.users.store import Outline, Totals
from tests.unit.cli.outlines import NOW, fleet, outline, status_of


@pytest.mark.parametrize("error", ["plain", "Zähler \x1b[2J\u2028", "a lone surrogate: \ud83d"])
def test_any_text_of_a_gateway_can_be_shown_as_json(error: str) -> None:
    failing = outline(total=7, last=int(NOW) - 60, failures=2, error=error, parked=error)
    leased = outline("00ce70", due=None, lease=NOW + 20)
    both = fleet(users=[status_of(failing), status_of(leased)], queues={"dispatch": 1})
    shown = json.loads(fleet_json(both))
    assert shown == both.as_json()
    assert shown["users"][0] == {
        "cloud_id": "00ce69",
        "last_reading": "2026-03-10T17:00:40Z",
        "age": 60.0,
        "readings_last_hour": 7,
        "readings_total": 7,
        "failures": 2,
        "last_error": error,
        "next_due": "2026-03-10T17:01:46Z",
        "leased": False,
        "why_not": error,
        "silence": 60.0,
        "standing": "parked",
        "unreadable": None,
        "late": 0.0,
        "in_step": False,
        "period": None,
        "requests_per_reading": None,
        "age_at_arrival": None,
    }
    assert shown["users"][1]["leased"] is True


def test_days_that_are_not_rolled_up_are_counted() -> None:
    late = [LateDay("2026-03-08", "2026-03-09T02:00:00Z"), LateDay("2026-03-09", "later")]
    [line] = [line for line in totals_in_words(fleet(late_days=late)) if "day tables" in line]
    assert line.startswith(
        "days complete and not in day tables: 2, the oldest 2026-03-08, seen 2026-03-09T02:00:00Z"
    )
    assert not any("day tables" in line for line in totals_in_words(fleet()))


def test_clocks_that_are_wrong_are_named() -> None:
    clocks = {"beat": 0.4, "fetch-1": 25.04, "fetch-2": -3600.0}
    line = (
        "clocks that are wrong: fetch-1 is 25.0 s ahead of Redis, "
        "fetch-2 is 3600.0 s behind Redis (set them, with NTP)"
    )
    assert line in totals_in_words(fleet(clocks_ahead=clocks))
    nearly_right = totals_in_words(fleet(clocks_ahead={"beat": 0.4}))
    assert not any("clock" in line for line in nearly_right)


def test_a_user_whose_state_cannot_be_read_is_shown_with_the_reason() -> None:
    reason = "the state cannot be read: it is cut off"
    user = status_of(outline()._replace(unreadable=reason))
    assert (user.standing, state_in_words(user)) == ("unreadable", reason)


HOURLY = {Kind.DEMAND: 3600.0, Kind.SUMMATION: 3600.0, Kind.PRICE: 3600.0, Kind.MESSAGE: 3600.0}
SHOWN = [
    (outline(last=int(NOW) - 9), "ok", "ok"),
    (
        outline(last=int(NOW) - 9, due=None, lease=NOW + 19),
        "leased",
        "waiting for a worker or being fetched",
    ),
    (outline(last=int(NOW) - 9, due=NOW - 1.5), "ok", "ok"),
    (outline(last=int(NOW) - 900, due=NOW - 840), "overdue", "its turn is 14 min late"),
    (outline(due=NOW - 840), "overdue", "never read, and its turn is 14 min late"),
    (outline(due=NOW + 3), "new", "not asked yet"),
    (
        outline(due=NOW + 3, visited=True),
        "never_read",
        "it answers, and no reading ever came of it",
    ),
    (outline(last=int(NOW) - 7200), "silent", "it answers, but without a new reading for 2 h"),
    (outline(last=int(NOW) - 7200, intervals=HOURLY), "ok", "ok"),
    (
        outline(last=int(NOW) - 20000, intervals=HOURLY),
        "silent",
        "it answers, but without a new reading for 6 h",
    ),
    (
        outline(last=int(NOW) - 7200, failures=3, error="timed_out: no"),
        "failing",
        "3 failures: timed_out: no",
    ),
    (outline(parked="refused: no"), "parked", "parked: refused: no"),
]


@pytest.mark.parametrize(("user", "standing", "words"), SHOWN, ids=[words for _, _, words in SHOWN])
def test_the_standing_of_a_user_is_put_into_words(user: Outline, standing: str, words: str) -> None:
    shown = status_of(user)
    assert (shown.standing, state_in_words(shown)) == (standing, words)


def test_a_home_whose_clock_is_wrong_is_not_silent() -> None:
    ten_days_behind = outline(last=int(NOW) - 10 * 86400)._replace(last_arrival=NOW - 5)
    assert status_of(ten_days_behind).standing == "ok"


def test_users_who_are_not_well_are_counted_by_reason() -> None:
    counts = reasons(
        [
            status_of(outline(last=int(NOW) - 4000)),
            status_of(outline(failures=1, error="timed_out: no answer")),
            status_of(outline(failures=9, error="timed_out: no answer")),
            status_of(outline(parked="refused: status 401")),
            status_of(outline(last=int(NOW) - 5)),
        ]
    )
    assert next(iter(counts)) == "failing: timed_out"
    assert counts == {"failing: timed_out": 2, "silent": 1, "parked: refused": 1}
    line = "not well: failing: timed_out 2, silent 1, parked: refused 1"
    assert line in totals_in_words(fleet(reasons=counts))


def test_the_longest_wait_of_overdue_users_is_shown() -> None:
    late = fleet(totals=Totals(7, 6, 2, 0, 1, NOW - 840), longest_wait=840.0)
    line = (
        "users: 7, 6 waiting their turn (2 overdue, the longest for 14 min), "
        "0 waiting for a worker or being fetched, 1 parked"
    )
    assert line in totals_in_words(late)


def test_too_many_users_are_shown_with_what_to_do() -> None:
    [line] = [
        line
        for line in totals_in_words(fleet(too_much=TooMuch(18.2, 6.0)))
        if line.startswith("too much")
    ]
    assert line.startswith("too much: each home is visited every 18.2 s instead of 6. More workers")
    assert "docs/explanation/overload.md" in line


def test_an_open_hour_does_not_count_as_not_archived() -> None:
    lines = totals_in_words(fleet(open_hours=[UnarchivedHour("2026-03-10-17", 25)]))
    assert "hours not archived yet: none; 25 files that are still open" in lines
    assert "not well: none" in lines


def test_a_users_rhythm_is_shown_in_brackets_unless_its_turns_follow_its_meter() -> None:
    rhythm = Rhythm(period=8.02, spread=1.2, delays=80, fits=2, requests_per_reading=1.17, age=1.94)
    followed = status_of(outline()._replace(rhythm=rhythm))
    plain = status_of(outline()._replace(rhythm=rhythm, in_step=False))
    assert rhythm_in_words(followed) == "8.0 s, 1.17, 1.9 s"
    assert rhythm_in_words(plain) == "(8.0 s, 1.17, 1.9 s)"
    assert rhythm_in_words(status_of(outline())) == ""
    assert (
        "in step with their meters: 1 of 2 users, 1.17 requests a reading, which is 1.9 s old "
        "when it comes"
    ) in totals_in_words(fleet(users=[followed, plain]))
