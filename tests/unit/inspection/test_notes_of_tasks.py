"""What the status says of the notes of tasks: too many users, and days without tables."""

from __future__ import annotations

import pytest

from eagle_logger.core.hours import Hour
from eagle_logger.core.kinds import Kind
from eagle_logger.core.table_plan import LATE_AFTER_S, ROLL_UP
from eagle_logger.inspection.fleet_status import Expected, TooMuch, collect
from eagle_logger.inspection.health import DISPATCH_SILENT_AFTER_S
from eagle_logger.logs.folder import StuckUserHour
from eagle_logger.users.memory.store import memory_store
from tests.support.hand_clock import HandClock

EXPECTED = Expected(dict.fromkeys(Kind, 6.0), 600.0)
NOTE: dict[str, str | int | float] = {"by": "dispatcher", "visited_every": 18.2, "instead_of": 6.0}


class NoHours:
    def hours(self) -> list[Hour]:
        return []

    def unarchived(self, hour: Hour) -> int:
        raise AssertionError(hour)

    def open_written(self, hour: Hour, after: float, until: float) -> int:
        raise AssertionError(hour)

    def stuck(self, hour: Hour) -> list[StuckUserHour]:
        raise AssertionError(hour)

    def unindexed_hours(self) -> dict[Hour, float]:
        return {}


async def too_much_after(note: dict[str, str | int | float], seconds: float) -> TooMuch | None:
    clock = HandClock()
    store = memory_store(clock)
    await store.fleet.note_progress("dispatch", note)
    clock.advance(seconds)
    return (await collect(store, queues={}, folder=NoHours(), expected=EXPECTED)).too_much


async def test_the_dispatchers_note_is_shown_while_it_is_new() -> None:
    assert await too_much_after(NOTE, 1.0) == TooMuch(18.2, 6.0)
    assert await too_much_after(NOTE, DISPATCH_SILENT_AFTER_S + 1) is None


@pytest.mark.parametrize(
    "note",
    [
        {"by": "an older dispatcher"},
        {**NOTE, "visited_every": 6.0},
        {**NOTE, "visited_every": "often"},
    ],
)
async def test_a_note_of_workers_that_keep_up_is_not_shown(
    note: dict[str, str | int | float],
) -> None:
    assert await too_much_after(note, 1.0) is None


async def test_days_that_wait_for_their_tables_for_hours_are_shown() -> None:
    clock = HandClock()
    store = memory_store(clock)
    now = await store.fleet.now()
    note = {"2026-03-09": now - LATE_AFTER_S - 10, "2026-03-10": now - 60}
    await store.fleet.note_progress(ROLL_UP, note)
    status = await collect(store, queues={}, folder=NoHours(), expected=EXPECTED)
    assert [late.day for late in status.late_days] == ["2026-03-09"]
