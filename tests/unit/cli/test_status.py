from __future__ import annotations

import json
from dataclasses import replace

import pytest

from eagle_logger.cli.status import UserSelection, _json, _state, _totals
from eagle_logger.core.kinds import Kind
from eagle_logger.inspection.fleet_status import (
    Expected,
    FleetStatus,
    UnarchivedHour,
    reasons,
    user_status,
)
from eagle_logger.users.store import Outline, Totals

NOW = 1_773_162_100.0
EXPECTED = Expected(
    {Kind.DEMAND: 6.0, Kind.SUMMATION: 60.0, Kind.PRICE: 900.0, Kind.MESSAGE: 900.0}, 600.0
)


def outline(
    cloud_id: str = "00ce69",
    *,
    total: int = 0,
    last: int | None = None,
    failures: int = 0,
    error: str | None = None,
    parked: str | None = None,
    due: float | None = NOW + 6,
    lease: float | None = None,
    intervals: dict[Kind, float] | None = None,
    visited: bool = False,
) -> Outline:
    counts = (int(NOW) // 600, 3, 4) if last else ()
    outlined = Outline(cloud_id, total, last, counts, failures, error, parked, due, lease)
    return outlined._replace(intervals=intervals or {}, visited=visited or last is not None)


def nothing() -> FleetStatus:
    return FleetStatus("now", Totals(0, 0, 0, 0, 0, None), [], {}, [], [], {}, {}, {}, "closed")


@pytest.mark.parametrize("word", ["plain", "Zähler \x1b[2J\u2028", "half a character: \ud83d"])
def test_whatever_a_gateway_made_up_is_told_as_json(word: str) -> None:
    users = [
        user_status(
            outline(total=7, last=int(NOW) - 60, failures=2, error=word, parked=word, due=NOW + 6),
            NOW,
            EXPECTED,
        ),
        user_status(Outline("00ce70", 0, None, (), 0, None, None, None, NOW + 20), NOW, EXPECTED),
    ]
    found = FleetStatus(
        "now", Totals(2, 1, 0, 0, 1, None), users, {"dispatch": 1}, [], [], {}, {}, {}, "closed"
    )
    told = json.loads(_json(found))
    assert told == found.as_json()
    assert told["users"][0] == {
        "cloud_id": "00ce69",
        "last_reading": "2026-03-10T17:00:40Z",
        "age": 60.0,
        "readings_last_hour": 7,
        "readings_total": 7,
        "failures": 2,
        "last_error": word,
        "next_due": "2026-03-10T17:01:46Z",
        "leased": False,
        "why_not": word,
        "silence": 60.0,
        "standing": "parked",
        "unreadable": None,
        "late": 0.0,
    }
    assert told["users"][1]["leased"] is True


def test_clocks_that_are_wrong_are_named() -> None:
    clocks = {"beat": 0.4, "fetch-1": 25.04, "fetch-2": -3600.0}
    found = FleetStatus(
        "now", Totals(0, 0, 0, 0, 0, None), [], {}, [], [], {}, clocks, {}, "closed"
    )
    line = "clocks that are wrong: fetch-1 is 25.0 s ahead of Redis, fetch-2 is 3600.0 s behind Redis (set them, with NTP)"
    assert line in _totals(found)
    assert not any("clock" in one for one in _totals(replace(found, clocks_ahead={"beat": 0.4})))


def test_a_user_whose_state_cannot_be_read_is_shown_as_such() -> None:
    found = user_status(
        outline()._replace(unreadable="the state cannot be read: it is cut off"), NOW, EXPECTED
    )
    assert _state(found) == "the state cannot be read: it is cut off"
    assert found.standing == "unreadable"


HOURLY = {Kind.DEMAND: 3600.0, Kind.SUMMATION: 3600.0, Kind.PRICE: 3600.0, Kind.MESSAGE: 3600.0}
SHOWN = [
    (outline(last=int(NOW) - 9), "ok", "ok"),
    (outline(last=int(NOW) - 9, due=None, lease=NOW + 19), "leased", "being fetched"),
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


@pytest.mark.parametrize(("one", "standing", "shown"), SHOWN, ids=[shown for _, _, shown in SHOWN])
def test_what_is_shown_of_a_user(one: Outline, standing: str, shown: str) -> None:
    found = user_status(one, NOW, EXPECTED)
    assert (found.standing, _state(found)) == (standing, shown)


def test_a_home_whose_clock_is_wrong_is_not_silent() -> None:
    one = outline(last=int(NOW) - 10 * 86400)._replace(last_arrival=NOW - 5)
    assert user_status(one, NOW, EXPECTED).standing == "ok"


FLEET = [
    user_status(one, NOW, EXPECTED)
    for one in (
        outline("000001", last=int(NOW) - 5),
        outline("000002", last=int(NOW) - 4000),
        outline("000003", last=int(NOW) - 50, failures=1, error="timed_out: no answer"),
        outline("000004", last=int(NOW) - 90000, failures=9, error="timed_out: no answer"),
        outline("000005", visited=True),
        outline("000006", parked="refused: status 401"),
        outline("000007"),
    )
]


@pytest.mark.parametrize(
    ("chosen", "ids"),
    [
        (UserSelection(), "5642371"),
        (UserSelection(limit=2), "56"),
        (UserSelection(limit=0), ""),
        (UserSelection(failing=True), "643"),
        (UserSelection(stale=3600.0), "5642"),
        (UserSelection(stale=86400.0, failing=True), "64"),
        (UserSelection(sort="id"), "1234567"),
        (UserSelection(sort="failures"), "6431257"),
    ],
)
def test_who_is_shown_and_in_which_order(chosen: UserSelection, ids: str) -> None:
    assert "".join(user.cloud_id[-1] for user in chosen.users(FLEET)) == ids


def test_those_who_are_not_well_are_counted_by_reason() -> None:
    found = reasons(FLEET)
    assert found == {"failing: timed_out": 2, "silent": 1, "never_read": 1, "parked: refused": 1}
    assert next(iter(found)) == "failing: timed_out"
    shown = replace(
        nothing(), reasons=found, totals=Totals(7, 6, 2, 0, 1, NOW - 840), longest_wait=840.0
    )
    assert "not well: failing: timed_out 2, silent 1, never_read 1, parked: refused 1" in _totals(
        shown
    )
    assert (
        "users: 7, 6 waiting their turn (2 overdue, the longest for 14 min), 0 being fetched, 1 parked"
        in _totals(shown)
    )


def test_an_open_hour_is_not_told_as_not_archived() -> None:
    found = replace(
        nothing(), unarchived_hours=[], open_hours=[UnarchivedHour("2026-03-10-17", 25)]
    )
    assert "hours not archived yet: none; 25 files that are still open" in _totals(found)
    assert "not well: none" in _totals(found)
