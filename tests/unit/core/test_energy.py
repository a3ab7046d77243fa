"""Energy from registers: it adds up, and what cannot be known is flagged and not counted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from eagle_logger.core.energy import (
    ENERGY_FLAG_MEANS,
    LONGEST_DEMAND_STEP_S,
    EnergyFlag,
    EnergyRow,
    HomeEnergy,
    in_order,
)
from eagle_logger.core.kinds import Kind
from eagle_logger.core.line_format import encode_line, parse_line
from eagle_logger.core.local_time import Span, period_of
from eagle_logger.core.readings import Flag, Reading, Value
from tests.support.log_lines import CLOUD_ID, DEVICE, METER

T0 = int(datetime(2026, 3, 10, 17, tzinfo=UTC).timestamp())
OTHER_METER = "0x0013500100000002"
NEVER = 4e9


@dataclass(frozen=True)
class Summation:
    at: int
    delivered: str | Decimal | None
    received: str | Decimal | None = "0"
    flags: frozenset[Flag] = frozenset()
    meter: str = METER

    @property
    def values(self) -> dict[str, Value]:
        return {"delivered": number(self.delivered), "received": number(self.received)}


@dataclass(frozen=True)
class Demand:
    at: int
    value: str | Decimal
    flags: frozenset[Flag] = frozenset()
    meter: str = METER

    @property
    def values(self) -> dict[str, Value]:
        return {"value": number(self.value)}


def number(value: str | Decimal | None) -> Decimal | None:
    return None if value is None else Decimal(value)


def rows(
    readings: Iterable[Summation | Demand],
    *,
    span: Span = Span.HOUR,
    zone: tzinfo = UTC,
    now: float = NEVER,
) -> list[EnergyRow]:
    home = HomeEnergy(span, zone)
    lines = [
        encode_line(
            CLOUD_ID,
            Reading(
                DEVICE,
                reading.meter,
                Kind.SUMMATION if isinstance(reading, Summation) else Kind.DEMAND,
                T0 + reading.at,
                reading.values,
                {},
                reading.flags,
            ),
            T0 + reading.at + 0.25,
        )
        for reading in readings
    ]
    finished = [
        home.add(moment, line)
        for moment, line in in_order(parse_line(line.rstrip()) for line in lines)
    ]
    return [row for row in finished if row is not None] + list(home.finish(now))


def flags(row: EnergyRow) -> set[str]:
    return {str(flag) for flag in row.flags}


def test_an_hour_counts_from_the_last_summation_before_it() -> None:
    first, second = rows(
        [
            Summation(3000, "10.0"),
            Summation(3300, "10.2", "0.1"),
            Summation(3900, "10.7", "0.1"),
            Summation(7000, "11.3", "0.4"),
        ]
    )
    assert (first.delivered, first.received, flags(first)) == (
        Decimal("0.2"),
        Decimal("0.1"),
        {"first"},
    )
    assert (second.delivered, second.received) == (Decimal("1.1"), Decimal("0.3"))
    assert (second.begin, second.end) == (T0 + 3300, T0 + 7000)
    assert flags(second) == {"gap", "demand_gap"}


def test_a_register_that_falls_is_not_counted_and_flagged() -> None:
    [row] = rows(
        [Summation(0, "99.5"), Summation(300, "99.9"), Summation(600, "0.1"), Summation(900, "0.4")]
    )
    assert row.delivered == Decimal("0.7")
    assert "reset" in flags(row)


def test_a_register_that_the_gateway_leaves_out_now_and_then_is_counted_across() -> None:
    [row] = rows([Summation(0, "1", None), Summation(60, None, "5"), Summation(120, "3", "6")])
    assert (row.delivered, row.received) == (Decimal(2), Decimal(1))
    [row] = rows([Summation(0, "1", None), Summation(60, "2", None)])
    assert (row.received, row.net, row.difference) == (None, None, None)


def test_another_meter_begins_anew() -> None:
    old, new = rows(
        [
            Summation(0, "500"),
            Summation(60, "501"),
            Summation(4000, "3", meter=OTHER_METER),
            Summation(4060, "4", meter=OTHER_METER),
        ]
    )
    assert (old.delivered, flags(old)) == (Decimal(1), {"first"})
    assert (new.delivered, flags(new)) == (Decimal(1), {"meter_changed"})


def test_two_meters_at_once_are_no_exchange() -> None:
    both = rows(
        [
            reading
            for at in range(0, 600, 60)
            for reading in (
                Summation(at, Decimal(at)),
                Summation(at + 5, Decimal(at), meter=OTHER_METER),
            )
        ]
    )
    assert [(row.delivered, flags(row) & {"meter_changed"}) for row in both] == [
        (Decimal(540), set())
    ] * 2


def test_summations_that_may_be_wrong_are_left_out() -> None:
    conflict, future = frozenset({Flag.CONFLICT}), frozenset({Flag.FUTURE})
    [row] = rows(
        [
            Summation(0, "1"),
            Summation(60, "900", flags=conflict),
            Summation(90, "800", flags=future),
            Summation(120, "2"),
        ]
    )
    assert (row.delivered, "left_out" in flags(row)) == (Decimal(1), True)


def test_the_integral_of_demand_covers_the_time_between_the_summations() -> None:
    every_minute = [Demand(at, "2.0") for at in range(0, 3601, 60)]
    [row] = rows([*every_minute, Summation(600, "5"), Summation(3000, "6.3", "0.1")])
    assert (row.demand, row.demand_seconds) == (Decimal("1.333333"), 2400)
    assert (row.net, row.difference) == (Decimal("1.2"), Decimal("-0.133333"))
    assert flags(row) == {"first", "gap"}


def test_nothing_is_integrated_over_a_gap_of_demand() -> None:
    demands = [Demand(0, "1"), Demand(60, "1"), Demand(60 + LONGEST_DEMAND_STEP_S + 1, "1")]
    [row] = rows([*demands, Summation(0, "1"), Summation(900, "2")])
    assert (row.demand_seconds, "demand_gap" in flags(row)) == (60, True)


def test_a_home_without_demand_has_no_difference() -> None:
    [row] = rows([Summation(0, "1"), Summation(60, "2")])
    assert (row.demand, row.difference) == (None, None)


def test_a_period_that_is_not_over_is_flagged() -> None:
    readings = [Summation(0, "1"), Summation(60, "2")]
    [row] = rows(readings, now=T0 + 3599)
    assert "open" in flags(row)
    [row] = rows(readings, now=T0 + 3600)
    assert "open" not in flags(row)


def test_a_number_of_thousands_of_digits_is_left_out() -> None:
    [row] = rows([Summation(0, "1"), Summation(60, Decimal("1E+300")), Summation(120, "2")])
    assert "left_out" in flags(row)


def test_every_flag_is_explained() -> None:
    assert set(ENERGY_FLAG_MEANS) == set(EnergyFlag)


counts = st.decimals(0, 100, places=6)
times = st.integers(0, 5 * 86400)
growing = st.lists(st.tuples(times, counts, counts), min_size=1, max_size=40).map(
    lambda steps: [
        Summation(
            at,
            sum((step[1] for step in steps[: number + 1]), Decimal(0)),
            sum((step[2] for step in steps[: number + 1]), Decimal(0)),
        )
        for number, (at, *_) in enumerate(
            sorted({step[0]: step for step in steps}.values(), key=lambda step: step[0])
        )
    ]
)
any_registers = st.lists(
    st.builds(Summation, times, counts | st.none(), counts | st.none()),
    min_size=1,
    max_size=40,
    unique_by=lambda reading: reading.at,
)
demands = st.lists(
    st.builds(Demand, times, st.decimals(-20, 20, places=3)),
    max_size=40,
    unique_by=lambda reading: reading.at,
)
spans = st.sampled_from(Span)
zones = st.sampled_from([UTC, ZoneInfo("America/New_York"), ZoneInfo("Asia/Kolkata")])


@given(growing, demands, spans, zones)
def test_periods_add_up_to_the_difference_of_the_ends(
    summations: list[Summation], demand: list[Demand], span: Span, zone: tzinfo
) -> None:
    counted = rows([*demand, *summations], span=span, zone=zone)
    for name in ("delivered", "received"):
        ends = [number(getattr(summations[end], name)) for end in (0, -1)]
        assert ends[0] is not None
        assert ends[1] is not None
        assert sum(getattr(row, name) for row in counted) == ends[1] - ends[0]
    whole = rows([*demand, *summations], span=Span.DAY, zone=zone)
    assert sum(row.demand_kws for row in counted) == sum(row.demand_kws for row in whole)
    assert all(before.end == after.begin for before, after in pairwise(counted))


@given(any_registers, demands, spans, zones)
def test_no_period_counts_backwards_or_outside_itself(
    summations: list[Summation], demand: list[Demand], span: Span, zone: tzinfo
) -> None:
    for row in rows([*demand, *summations], span=span, zone=zone):
        assert row.delivered is None or row.delivered >= 0
        assert row.received is None or row.received >= 0
        assert row.begin <= row.end
        assert period_of(row.end, span, zone) == row.period
        assert 0 <= row.demand_seconds <= row.end - row.begin + LONGEST_DEMAND_STEP_S


@given(any_registers)
def test_a_fall_is_flagged_in_the_period_in_which_it_shows(summations: list[Summation]) -> None:
    in_time = sorted(summations, key=lambda reading: reading.at)
    falls = set()
    for name in ("delivered", "received"):
        values = [
            (reading.at, number(getattr(reading, name)))
            for reading in in_time
            if getattr(reading, name) is not None
        ]
        for (_, before), (at, after) in pairwise(values):
            assert before is not None
            assert after is not None
            if after < before:
                falls.add(period_of(T0 + at, Span.HOUR, UTC))
    flagged = {row.period for row in rows(summations) if EnergyFlag.RESET in row.flags}
    assert flagged == falls
