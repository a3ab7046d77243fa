from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest

from eagle_logger.inspection.ledger_comparison import LedgerComparison
from eagle_logger.users.store import Totals
from workers.up.console import Console
from workers.up.main_loop import print_summary
from workers.up.measured_run.summary import complaints, summarise
from workers.up.measured_run.throughput import ThroughputSample

BEGIN = {
    "fetches": 100,
    "requests": 150,
    "failed_fetches": 1,
    "missed_turns": 7,
    "readings_logged": 90,
    "late_10000": 50,
}
END = {
    "fetches": 300,
    "requests": 390,
    "failed_fetches": 3,
    "missed_turns": 7,
    "readings_logged": 280,
    "late_10000": 50,
    "late_500": 200,
}


def moment(tally: dict[str, int]) -> ThroughputSample:
    return ThroughputSample(
        0.0, tally, Totals(users=20, due=20, overdue=0, leased=0, parked=0, oldest_due=None), {}
    )


def verdict(**counts: int) -> LedgerComparison:
    well = LedgerComparison(
        objects=40,
        readings_served=280,
        readings_archived=279,
        lost=0,
        not_archived_yet=0,
        duplicated=0,
        unreturnable=1,
        unexpected=0,
        misfiled=0,
    )
    return replace(well, **counts)  # type: ignore[arg-type]  # only counts are given


def test_fetching_is_counted_from_when_all_was_ready_and_readings_from_the_first_day() -> None:
    summary = summarise(moment(BEGIN), moment(END), verdict())
    assert (summary.homes, summary.fetches, summary.requests) == (20, 200, 240)
    assert (summary.failed_fetches, summary.missed_turns) == (2, 0)
    assert summary.late_p99_s == 0.5, "those who were late before do not count"
    assert (summary.readings_served, summary.readings_logged, summary.readings_archived) == (
        280,
        280,
        279,
    )
    assert (summary.objects, summary.unreturnable) == (40, 1)
    assert summary.is_well


def test_what_only_a_ledger_can_tell_is_left_open_without_one() -> None:
    summary = summarise(moment(BEGIN), moment(END), None)
    assert summary.lost is summary.duplicated is summary.objects is summary.readings_served is None
    assert summary.is_well


@pytest.mark.parametrize("counts", [{"lost": 1}, {"duplicated": 1}])
def test_a_reading_lost_or_doubled_is_not_well(counts: dict[str, int]) -> None:
    assert not summarise(moment(BEGIN), moment(END), verdict(**counts)).is_well


def test_complaints() -> None:
    assert complaints(verdict()) == []
    said = complaints(verdict(unexpected=2, misfiled=3))
    assert said == [
        "2 readings never served are in the archive",
        "3 lines under another hour are in the archive",
    ]


def test_the_last_line_of_standard_output_is_the_summary(
    capsys: pytest.CaptureFixture[str],
) -> None:
    people = io.StringIO()
    print_summary(summarise(moment(BEGIN), moment(END), verdict()), Console(people), as_json=True)
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(printed) == [
        *("homes", "fetches", "requests", "failed_fetches", "missed_turns", "late_p99_s"),
        *(
            "readings_served",
            "readings_logged",
            "readings_archived",
            "objects",
            "lost",
            "duplicated",
            "unreturnable",
        ),
    ]
    assert "readings archived  279" in people.getvalue()


def test_a_terminal_that_went_away_is_no_reason_to_stop() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    Console(Gone()).say("stopping")


def test_long_lines_are_quoted_in_part() -> None:
    people = io.StringIO()
    Console(people).quote(["x" * 5000, "short"])
    assert len(people.getvalue()) < 400
    assert people.getvalue().endswith("| short\n")
