"""The data dictionary names every member that is written, and no other."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from docs import data_dictionary
from eagle_logger.cli.energy import energy_members
from eagle_logger.cli.gaps import gap_members
from eagle_logger.core.energy import ENERGY_MEMBERS, EnergyRow
from eagle_logger.core.gaps import GAP_MEMBERS, GapRow
from eagle_logger.core.hours import Hour
from eagle_logger.core.kinds import KINDS, MEMBERS_OF_ALL, Kind
from eagle_logger.core.line_format import encode_line
from eagle_logger.core.local_time import LocalPeriod
from eagle_logger.core.readings import FLAG_MEANS, Flag, Reading, Stream
from eagle_logger.core.table_columns import COLUMNS
from eagle_logger.rainforest.decoding import notifications
from tests.support.log_lines import CLOUD_ID, DEVICE, METER

FIELDS = {
    Kind.DEMAND: {"demand": "0x1"},
    Kind.SUMMATION: {"summationdelivered": "0x1", "summationreceived": "0x1"},
    Kind.PRICE: {"price": "0xe", "trailingdigits": "0x2", "currency": "0x348"},
    Kind.MESSAGE: {"id": "0x1", "text": "Save"},
}
"""What a gateway says, as a decoder gets it: names in lower case."""


def members_written(kind: Kind) -> list[str]:
    values, _ = notifications._VALUES[kind](FIELDS[kind])
    reading = Reading(DEVICE, METER, kind, 0, values, {})
    return list(json.loads(encode_line(CLOUD_ID, reading, 0.0)))


@pytest.mark.parametrize("kind", Kind)
def test_each_member_of_a_line_is_described(kind: Kind) -> None:
    described = [member.name for member in (*MEMBERS_OF_ALL, *KINDS[kind].members)]
    assert sorted(described) == sorted(members_written(kind))


def test_each_column_of_a_table_is_described_for_the_kinds_that_have_it() -> None:
    described = {(member.name, kind) for kind in Kind for member in KINDS[kind].members}
    columns = {(column.name, kind) for column in COLUMNS for kind in column.kinds}
    assert columns == described
    of_all = {column.name for column in COLUMNS if not column.kinds}
    assert of_all == {member.name for member in MEMBERS_OF_ALL} - {"v", "raw"}


def test_every_flag_is_described() -> None:
    assert set(FLAG_MEANS) == set(Flag)


def test_every_number_of_a_kind_is_described() -> None:
    for spec in KINDS.values():
        names = {member.name for member in spec.members}
        assert names.issuperset({*spec.numbers, *spec.texts})


def test_rows_of_commands_have_the_members_that_are_described() -> None:
    gap = GapRow(CLOUD_ID, Hour(0), Stream(DEVICE, METER, Kind.DEMAND), 1, 2, 8.0, 9, 0, None)
    assert list(gap_members(gap)) == list(GAP_MEMBERS)
    energy = EnergyRow(
        METER, LocalPeriod(0, 3600, ""), 0, 9, None, None, Decimal(0), 0, frozenset()
    )
    assert list(energy_members(energy)) == list(ENERGY_MEMBERS)


def test_the_page_has_a_row_for_each() -> None:
    page = data_dictionary.render()
    for name in [*GAP_MEMBERS, *ENERGY_MEMBERS, *Flag, *(column.name for column in COLUMNS)]:
        assert f"| `{name}` |" in page
