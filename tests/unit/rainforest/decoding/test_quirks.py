from __future__ import annotations

import pytest

from tests.unit.rainforest.decoding.quirks.page import SECTIONS, render
from tests.unit.rainforest.decoding.quirks.quirk import Quirk, outcome

ALL = [quirk for quirks in SECTIONS.values() for quirk in quirks]


@pytest.mark.parametrize("quirk", ALL, ids=lambda quirk: quirk.title)
def test_a_quirk_comes_out_as_its_row_says(quirk: Quirk) -> None:
    assert outcome(quirk) == quirk.comes_out


def test_each_quirk_is_a_row_of_the_page() -> None:
    rows = [
        line
        for line in render().splitlines()
        if line.startswith("| ") and not line.startswith(("| quirk", "| ---"))
    ]
    assert len(rows) == len(ALL)
    assert all(row.replace("\\|", "").count("|") == 5 for row in rows)
