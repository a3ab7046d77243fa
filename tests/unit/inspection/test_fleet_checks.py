"""What `doctor` finds in the fleet's status, and how bad that is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from eagle_logger.core.hours import Hour, iso
from eagle_logger.inspection.check_result import Grade
from eagle_logger.inspection.doctor import worst
from eagle_logger.inspection.fleet_checks import check_fleet_status
from eagle_logger.inspection.fleet_status import (
    FleetStatus,
    LateDay,
    StuckHour,
    TooMuch,
    UnarchivedHour,
    UnindexedHour,
)
from eagle_logger.settings import Settings
from eagle_logger.users.store import Totals

NOW = 1_773_162_100.0
HOUR = Hour.of(NOW)
PROCESSES = {
    "beat": 0.4,
    "dispatch": 0.4,
    "dispatcher": 1.0,
    "fetch-1": 1.2,
    "fetch-2": 0.3,
    "rotator": 2.0,
}
TOTALS = Totals(users=25, due=24, overdue=0, leased=1, parked=0, oldest_due=NOW + 1)
WELL = FleetStatus(
    iso(NOW), TOTALS, [], {}, [], [], PROCESSES, dict.fromkeys(PROCESSES, 0.1), {}, "closed"
)


def processes(**changed: float | None) -> dict[str, float]:
    merged = {**PROCESSES, **{name.replace("_", "-"): age for name, age in changed.items()}}
    return {name: age for name, age in merged.items() if age is not None}


def hours_ago(hours: int, files: int = 25) -> UnarchivedHour:
    return UnarchivedHour(Hour(HOUR.start - hours * 3600).name, files)


def stuck(hours: int) -> StuckHour:
    return StuckHour("00ce69", hours_ago(hours).hour, iso(NOW), iso(NOW), 3, "denied")


def test_a_healthy_fleet_gives_only_good_findings() -> None:
    found = list(check_fleet_status(WELL, Settings()))
    assert [finding.name for finding in found if not finding.is_ok] == []
    assert worst(found) is Grade.OK


CASES: dict[str, tuple[dict[str, Any], str, Grade, str]] = {
    "beat stopped": (
        {"processes": processes(beat=300.0, dispatch=300.0)},
        "dispatch",
        Grade.WRONG,
        "last dispatch 300 s ago",
    ),
    "nothing ever ran": ({"processes": {}}, "dispatch", Grade.WRONG, "nothing was dispatched"),
    "nothing runs, so none reports": (
        {"processes": {}},
        "processes",
        Grade.LOOK,
        "none has reported",
    ),
    "workers gone": (
        {"processes": processes(fetch_1=200.0, fetch_2=90.0)},
        "workers",
        Grade.WRONG,
        "no fetching process has reported for 90 s",
    ),
    "one worker hangs": (
        {"processes": processes(fetch_2=900.0)},
        "processes",
        Grade.LOOK,
        "silent: fetch-2 for 15 min",
    ),
    "the last rotator of its kind is gone": (
        {"processes": {**processes(rotator=None), "rotator@a": 900.0}},
        "processes",
        Grade.LOOK,
        "silent: rotator@a for 15 min",
    ),
    "the breaker is open": ({"relay": "open"}, "breaker", Grade.WRONG, "open: most visits fail"),
    "a user waits": (
        {"totals": replace(TOTALS, overdue=3), "longest_wait": 90.0},
        "waiting",
        Grade.LOOK,
        "3 of 25 users are overdue, the longest for 90 s",
    ),
    "a user waits for long": (
        {"totals": replace(TOTALS, overdue=3), "longest_wait": 900.0},
        "waiting",
        Grade.WRONG,
        "the longest for 15 min",
    ),
    "there are too many users": (
        {
            "totals": replace(TOTALS, overdue=16),
            "longest_wait": 12.0,
            "too_much": TooMuch(18.04, 6.0),
        },
        "waiting",
        Grade.LOOK,
        "too much: each home is visited every 18 s instead of 6",
    ),
    "there are far too many users": (
        {"longest_wait": 900.0, "too_much": TooMuch(912.0, 6.0)},
        "waiting",
        Grade.WRONG,
        "too much: each home is visited every 912 s instead of 6",
    ),
    "they wait for the relay": (
        {"totals": replace(TOTALS, overdue=3), "longest_wait": 900.0, "relay": "open"},
        "waiting",
        Grade.LOOK,
        "15 min",
    ),
    "nobody to fetch": (
        {"totals": Totals(0, 0, 0, 0, 0, None)},
        "users",
        Grade.LOOK,
        "there are none",
    ),
    "one is parked": (
        {"reasons": {"parked: refused": 1}},
        "users",
        Grade.LOOK,
        "1 of 25 are not well: parked: refused 1",
    ),
    "some are silent": (
        {"reasons": {"silent": 2, "failing: timed_out": 1}},
        "users",
        Grade.LOOK,
        "3 of 25 are not well: silent 2, failing: timed_out 1",
    ),
    "all are without a key": (
        {"reasons": {"failing: no_key": 25}},
        "users",
        Grade.WRONG,
        "25 of 25 are not well: failing: no_key",
    ),
    "hours are not archived": (
        {"unarchived_hours": [hours_ago(5), hours_ago(4)]},
        "hours",
        Grade.LOOK,
        f"not archived: 2 hours, the oldest {hours_ago(5).hour}",
    ),
    "hours are not indexed": (
        {"unindexed_hours": [UnindexedHour(hours_ago(5).hour, iso(NOW - 10_000))]},
        "hours",
        Grade.LOOK,
        f"not indexed: 1 hours, the oldest {hours_ago(5).hour}",
    ),
    "a day is not rolled up": (
        {"late_days": [LateDay("2026-03-09", iso(NOW - 20_000))]},
        "tables",
        Grade.LOOK,
        "complete and not rolled up: 1 days, the oldest 2026-03-09",
    ),
    "hours are stuck": (
        {"unarchived_hours": [hours_ago(5, 1)], "stuck_hours": [stuck(5)]},
        "hours",
        Grade.LOOK,
        "stuck: 1 hours of single homes",
    ),
    "a clock is wrong": (
        {"clocks_ahead": {"fetch-1": -25.0, "beat": 1.9}},
        "clocks",
        Grade.LOOK,
        "fetch-1 -25.0 s",
    ),
}


@pytest.mark.parametrize(("changed", "name", "grade", "found"), CASES.values(), ids=CASES.keys())
def test_each_fault_of_the_fleet_is_found_with_its_grade(
    changed: dict[str, Any], name: str, grade: Grade, found: str
) -> None:
    [finding] = [
        one for one in check_fleet_status(replace(WELL, **changed), Settings()) if one.name == name
    ]
    assert finding.grade is grade, finding
    assert found in finding.found
    assert finding.advice


FALSE_ALARMS: dict[str, dict[str, Any]] = {
    "containers were replaced, and their names with them": {
        "processes": {
            **processes(fetch_1=None, fetch_2=None),
            "fetch@new": 1.0,
            "fetch@old": 2000.0,
            "rotator@old": 2000.0,
        }
    },
    "a user is late by a little": {"totals": replace(TOTALS, overdue=1), "longest_wait": 7.0},
    "the whole fleet is overdue after a start": {"reasons": {"overdue": 25}, "longest_wait": 40.0},
    "an hour was over a moment ago": {"unarchived_hours": [hours_ago(1)]},
}


@pytest.mark.parametrize("changed", FALSE_ALARMS.values(), ids=FALSE_ALARMS.keys())
def test_a_harmless_change_raises_no_finding(changed: dict[str, Any]) -> None:
    found = list(check_fleet_status(replace(WELL, **changed), Settings()))
    assert [finding for finding in found if not finding.is_ok] == []


def test_with_intervals_of_an_hour_a_worker_may_be_quiet_for_longer() -> None:
    calm = Settings(demand_interval=3600.0)
    quiet = replace(WELL, processes=processes(fetch_1=200.0, fetch_2=200.0))
    [workers] = [one for one in check_fleet_status(quiet, calm) if one.name == "workers"]
    assert workers.is_ok


def test_control_characters_from_redis_are_made_harmless() -> None:
    changed = replace(WELL, reasons={"failing: \x1b[2J": 1}, clocks_ahead={"\x1b[2J": 9.0})
    assert "\x1b" not in "".join(
        finding.found for finding in check_fleet_status(changed, Settings())
    )
