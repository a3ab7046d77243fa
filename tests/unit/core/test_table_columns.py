"""What a row of a day table says, as a text."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from eagle_logger.core.kinds import KINDS
from eagle_logger.core.table_columns import COLUMNS, NULL, SEPARATOR, row_text

LINE: dict[str, Any] = {
    "v": Decimal(1),
    "cloud_id": "00ce69",
    "device": "",
    "meter": "0x0013500100000001",
    "kind": "price",
    "time": "2026-03-10T17:54:01Z",
    "arrived": "2026-03-10T17:54:05.250Z",
    "price": Decimal("0.125"),
    "tier": Decimal(1),
    "confirmed": False,
    "flags": ["future", "not_set"],
}


def cells(line: dict[str, Any]) -> dict[str, str]:
    return dict(zip([c.name for c in COLUMNS], row_text(line).split(SEPARATOR), strict=True))


def test_a_row_says_every_member_in_one_spelling() -> None:
    said = {name: text for name, text in cells(LINE).items() if text != NULL}
    assert said == {
        "cloud_id": "00ce69",
        "device": "",
        "meter": "0x0013500100000001",
        "kind": "price",
        "time": "1773165241000",
        "arrived": "1773165245250",
        "price": "125000000",
        "tier": "1",
        "confirmed": "false",
        "flags": "future,not_set",
    }
    assert cells({**LINE, "price": Decimal("0.12500")}) == cells(LINE)
    assert cells({**LINE, "confirmed": True})["confirmed"] == "true"


@pytest.mark.parametrize("number", ["0.0000001", "1000000000000", "-1e30"])
def test_a_number_that_its_column_cannot_hold_is_refused(number: str) -> None:
    with pytest.raises(ValueError, match="decimal places"):
        row_text({**LINE, "value": Decimal(number)})


def test_every_number_and_text_of_every_kind_has_a_column() -> None:
    by_name = {column.name: column for column in COLUMNS}
    assert len(by_name) == len(COLUMNS)
    for spec in KINDS.values():
        for name in (*spec.numbers, *spec.texts):
            assert spec.kind in by_name[name].kinds
