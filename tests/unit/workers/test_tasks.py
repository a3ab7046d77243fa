from __future__ import annotations

from collections import Counter
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from eagle_logger.core.table_names import Day
from eagle_logger.core.table_plan import ROLL_UP
from eagle_logger.errors import ArchiveUnavailable, TableDamaged, TablesNotInstalled
from eagle_logger.rotation.rotation_result import RotationResult
from eagle_logger.tables.table_result import RollUpResult
from workers import tasks
from workers.tasks import upload_counts


def test_stuck_hours_of_single_homes_are_not_counted_as_failed_uploads() -> None:
    rotated = RotationResult(
        objects=7, stuck=2, errors={"00ce69": "its own", "00ce70": "its own", "00ce71": "away"}
    )
    assert upload_counts(rotated) == {"uploads_done": 7, "uploads_failed": 1, "uploads_stuck": 2}


class Tables:
    """Day tables of which a test says what they answer."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[Any] = []
        self.worker: Any = None

    def work(self, now: float, nodes: list[str], *, include_open: bool) -> Any:
        del now
        return self._answer((nodes, include_open))

    def build(self, day: Day, bucket: int, now: float, *, read_for: float, stopping: Any) -> Any:
        del now, read_for, stopping
        return self._answer((day, bucket))

    def _answer(self, question: object) -> Any:
        self.asked.append(question)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The messages that `roll_up` sends."""
    messages: list[Any] = []
    monkeypatch.setattr(
        tasks.roll_up, "apply_async", lambda words, queue: messages.append((words, queue))
    )
    return messages


def work_with(
    monkeypatch: pytest.MonkeyPatch,
    answer: object,
    *,
    waiting: int = 0,
    nodes: tuple[str, ...] = (),
    noted: dict[str, float] | None = None,
) -> Tables:
    tables = Tables(answer)
    notes: dict[str, Any] = {ROLL_UP: {"at": 1.0, "by": "tables", **(noted or {})}}
    counted: Counter[str] = Counter()
    worker = SimpleNamespace(
        notes=notes,
        counted=counted,
        note_progress=notes.__setitem__,
        day_tables=tables,
        broker=SimpleNamespace(waiting=lambda names: dict.fromkeys(names, waiting)),
        store=SimpleNamespace(
            fleet=SimpleNamespace(
                nodes=lambda: list(nodes), progress=lambda: dict(notes), count=counted.update
            )
        ),
        run=lambda what: what,
        shutdown=SimpleNamespace(begun=Event()),
    )
    monkeypatch.setattr("workers.runtime.current", lambda: worker)
    tables.worker = worker
    return tables


def test_each_bucket_of_a_day_that_needs_it_becomes_a_message(
    monkeypatch: pytest.MonkeyPatch, sent: list[Any]
) -> None:
    days = [(Day("2026-03-09"), 1), (Day("2026-03-10"), 0)]
    tables = work_with(monkeypatch, days, nodes=("0123456789ab",))
    assert tasks.roll_up.run() == "2 buckets"
    assert sent == [(["2026-03-09", 1], "tables"), (["2026-03-10", 0], "tables")]
    assert tables.asked == [(["0123456789ab"], False)]


def test_no_further_round_is_planned_while_messages_wait(
    monkeypatch: pytest.MonkeyPatch, sent: list[Any]
) -> None:
    tables = work_with(monkeypatch, [], waiting=3)
    assert tasks.roll_up.run(include_open=True).startswith("3 messages waiting")
    assert (sent, tables.asked) == ([], [])


def test_a_round_notes_since_when_which_days_have_waited(
    monkeypatch: pytest.MonkeyPatch, sent: list[Any]
) -> None:
    """The days that are done are forgotten, today never counts, and a round that fails or plans
    nothing keeps what was noted."""
    noted = {"2026-03-08": 1000.0, "2026-03-09": 2000.0}
    today = Day.of(tasks._settings.clock.now())
    work = [(Day("2026-03-09"), 0), (Day("2026-03-09"), 1), (Day("2026-03-10"), 0), (today, 0)]
    tables = work_with(monkeypatch, work, noted=noted)
    tasks.roll_up.run()
    assert tables.worker.notes["roll_up"].keys() == {"2026-03-09", "2026-03-10"}
    assert tables.worker.notes["roll_up"]["2026-03-09"] == 2000.0
    assert tables.worker.notes["roll_up"]["2026-03-10"] > 1e9
    for answer, waiting in ((ArchiveUnavailable("away"), 0), ([], 3)):
        tables = work_with(monkeypatch, answer, waiting=waiting, noted=noted)
        tasks.roll_up.run()
        assert tables.worker.notes["roll_up"] == noted


def test_a_bucket_is_rolled_up_and_what_is_left_out_is_logged(
    monkeypatch: pytest.MonkeyPatch, sent: list[Any]
) -> None:
    result = RollUpResult(1, 600, 9000, refused={"a": "places"}, problems={"b": "missing"})
    tables = work_with(monkeypatch, result)
    with structlog.testing.capture_logs() as logs:
        assert tasks.roll_up.run("2026-03-10", 3) == str(result)
    assert (tables.asked, sent) == ([(Day("2026-03-10"), 3)], [])
    assert [(entry["event"], entry.get("what")) for entry in logs] == [
        ("objects_not_in_tables", "refused"),
        ("objects_not_in_tables", "unusable"),
        ("roll_up", None),
    ]
    assert tables.worker.counted == {"roll_ups_done": 1}


def test_what_did_not_fit_into_the_time_is_sent_again(
    monkeypatch: pytest.MonkeyPatch, sent: list[Any]
) -> None:
    work_with(monkeypatch, RollUpResult(1, 600, 9000, stopped=True))
    tasks.roll_up.run("2026-03-10", 3)
    assert sent == [(["2026-03-10", 3], "tables")]


@pytest.mark.parametrize(
    "error", [ArchiveUnavailable("away"), TableDamaged(), TablesNotInstalled()]
)
@pytest.mark.parametrize("words", [(), ("2026-03-10", 0)])
def test_a_failure_is_logged_and_left_to_the_next_round(
    monkeypatch: pytest.MonkeyPatch, sent: list[Any], error: Exception, words: Any
) -> None:
    tables = work_with(monkeypatch, error)
    with structlog.testing.capture_logs() as logs:
        assert tasks.roll_up.run(*words) == f"failed: {error}"
    assert [(entry["event"], entry["reason"]) for entry in logs] == [("roll_up_failed", str(error))]
    assert sent == []
    assert tables.worker.counted == {"roll_ups_failed": 1}
