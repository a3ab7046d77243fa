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


def test_fetches_count_since_all_was_ready_and_readings_since_the_first_start() -> None:
    summary = summarise(moment(BEGIN), moment(END), verdict())
    assert (summary.homes, summary.fetches, summary.requests) == (20, 200, 240)
    assert (summary.failed_fetches, summary.missed_turns) == (2, 0)
    assert summary.late_p99_s == 0.5, "visits that were late before do not count"
    assert (summary.readings_served, summary.readings_logged, summary.readings_archived) == (
        280,
        280,
        279,
    )
    assert (summary.objects, summary.unreturnable) == (40, 1)
    assert summary.is_well


def test_figures_that_need_a_ledger_are_none_without_one() -> None:
    summary = summarise(moment(BEGIN), moment(END), None)
    assert summary.lost is summary.duplicated is summary.objects is summary.readings_served is None
    assert summary.is_well


@pytest.mark.parametrize("counts", [{"lost": 1}, {"duplicated": 1}])
def test_a_run_with_a_lost_or_doubled_reading_is_not_well(counts: dict[str, int]) -> None:
    assert not summarise(moment(BEGIN), moment(END), verdict(**counts)).is_well


def test_complaints_name_what_is_wrong_with_the_archive() -> None:
    assert complaints(verdict()) == []
    assert complaints(verdict(unexpected=2, misfiled=3)) == [
        "2 readings never served are in the archive",
        "3 lines under another hour are in the archive",
    ]


def test_the_summary_is_the_last_line_of_standard_output(
    capsys: pytest.CaptureFixture[str],
) -> None:
    terminal = io.StringIO()
    print_summary(summarise(moment(BEGIN), moment(END), verdict()), Console(terminal), as_json=True)
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
    assert "readings archived  279" in terminal.getvalue()


def test_a_terminal_that_is_gone_stops_nothing() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    Console(Gone()).say("stopping")


def test_only_the_beginning_of_a_long_line_is_quoted() -> None:
    terminal = io.StringIO()
    Console(terminal).quote(["x" * 5000, "short"])
    assert len(terminal.getvalue()) < 400
    assert terminal.getvalue().endswith("| short\n")
