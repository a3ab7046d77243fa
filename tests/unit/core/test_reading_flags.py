from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pytest

from eagle_logger.core.kinds import Kind
from eagle_logger.core.reading_flags import FUTURE_AFTER_S, LONG_PAST_AFTER_S, flags_for
from eagle_logger.core.readings import Flag, Reading, Value

NOW = 1_800_000_000.0


def reading(
    time: float = NOW, kind: Kind = Kind.SUMMATION, values: Mapping[str, Value] | None = None
) -> Reading:
    return Reading("", "", kind, int(time), values or {}, {})


@pytest.mark.parametrize(
    ("time", "flags"),
    [
        (NOW, set()),
        (NOW - 5145, set()),
        (NOW - LONG_PAST_AFTER_S, set()),
        (NOW - LONG_PAST_AFTER_S - 1, {Flag.LONG_PAST}),
        (NOW + FUTURE_AFTER_S, set()),
        (NOW + FUTURE_AFTER_S + 1, {Flag.FUTURE}),
        (NOW + 3600, {Flag.FUTURE}),
    ],
)
def test_a_time_far_from_its_arrival_is_flagged(time: float, flags: set[Flag]) -> None:
    assert flags_for(reading(time), NOW, {}) == flags


@pytest.mark.parametrize("counter", ["delivered", "received"])
@pytest.mark.parametrize(
    ("now", "before", "flags"),
    [
        (Decimal(5), None, set()),
        (Decimal(5), Decimal(5), set()),
        (Decimal("5.001"), Decimal(5), set()),
        (Decimal("4.999"), Decimal(5), {Flag.BACKWARDS}),
        (Decimal(0), Decimal(5), {Flag.BACKWARDS}),
        (None, Decimal(5), set()),
    ],
)
def test_a_summation_that_goes_backwards_is_flagged(
    counter: str, now: Decimal | None, before: Decimal | None, flags: set[Flag]
) -> None:
    assert flags_for(reading(values={counter: now}), NOW, {counter: before}) == flags
    assert flags_for(reading(values={counter: now}), NOW, {}) == set()


def test_only_summations_go_backwards() -> None:
    lower = reading(kind=Kind.DEMAND, values={"delivered": Decimal(1)})
    assert flags_for(lower, NOW, {"delivered": Decimal(5)}) == set()
