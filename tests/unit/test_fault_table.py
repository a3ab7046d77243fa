"""The table of faults in docs/explanation/promises.md, as `make faults` writes it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.faults.fault_table import BEGINS, ENDS, Row, with_rows

ROW = Row("redis-kill", 3, "kill -9", 5, 1234, lost=0, doubled=0, unreturnable=2, back_after=10.71)
PAGE = f"before\n{BEGINS}\n{ENDS}\nafter\n"


def lines(page: str) -> list[str]:
    return [line for line in page.splitlines() if line.startswith("| ") and "`" in line]


def test_a_row_of_the_table_has_every_figure() -> None:
    assert str(ROW) == "| 3 `redis-kill` | kill -9 | 5 | 1 234 | 0 | 0 | 2 | 10.7 s |"


def test_a_new_row_replaces_only_the_row_of_its_name() -> None:
    other = replace(ROW, name="kills", number=1, back_after=None)
    page = with_rows(PAGE, [ROW, other], whole=False)
    newer = replace(ROW, strikes=7)
    page = with_rows(page, [newer], whole=False)
    assert lines(page) == [str(other), str(newer)]
    assert page.startswith("before\n")
    assert page.endswith("\nafter\n")


def test_a_whole_run_replaces_the_whole_table() -> None:
    page = with_rows(PAGE, [ROW], whole=False)
    assert lines(with_rows(page, [replace(ROW, name="other")], whole=True)) == [
        str(replace(ROW, name="other"))
    ]


def test_a_page_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="has no table"):
        with_rows("nothing", [ROW], whole=True)
