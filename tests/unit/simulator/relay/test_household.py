from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eagle_logger.simulator.relay import household
from eagle_logger.simulator.relay.homes import Home, homes
from eagle_logger.simulator.relay.household import PERIOD, SLOT

HOMES = homes(40, seed=3)
SUNNY = next(home for home in HOMES if home.has_panels)
PLAIN = next(home for home in HOMES if not home.has_panels)
MOMENT = 1_764_000_000


@pytest.mark.parametrize("home", [SUNNY, PLAIN], ids=["with panels", "without"])
@settings(max_examples=60, deadline=None)
@given(start=st.integers(MOMENT, MOMENT + PERIOD), seconds=st.integers(0, 3000))
def test_energy_is_the_exact_sum_of_every_seconds_demand(
    home: Home, start: int, seconds: int
) -> None:
    house = home.household
    demands = [house.demand(second) for second in range(start, start + seconds)]
    assert house.imported(start + seconds) - house.imported(start) == sum(
        watts for watts in demands if watts > 0
    )
    assert house.exported(start + seconds) - house.exported(start) == -sum(
        watts for watts in demands if watts < 0
    )


def test_energy_goes_on_over_the_end_of_the_profile() -> None:
    house = SUNNY.household
    seam = PERIOD * 3000 - house.begins
    assert house.imported(seam + SLOT) - house.imported(seam - SLOT) == sum(
        max(house.demand(second), 0) for second in range(seam - SLOT, seam + SLOT)
    )


def day(home: Home, number: int) -> list[int]:
    midnight = (MOMENT // 86400 + number) * 86400
    return [home.household.demand(second) for second in range(midnight, midnight + 86400, SLOT)]


def test_panels_export_at_noon_and_never_at_night() -> None:
    # A household's days begin up to two hours early.
    noons = [watts for number in range(14) for watts in day(SUNNY, number)[2300:2500]]
    nights = [watts for number in range(14) for watts in day(SUNNY, number)[:720]]
    assert min(noons) < -500
    assert min(nights) > 0


@pytest.mark.parametrize("number", range(household.PROFILES))
def test_days_are_plausible(number: int) -> None:
    watts = household.profile(3, number).watts
    assert -7000 < min(watts) < 1000
    assert 1500 < max(watts) < 16_000
    a_day = household.profile(3, number).imported[-1] / 3_600_000 / household.DAYS
    assert 3 < a_day < 60, "kWh"
    assert len(set(watts)) > 500, "no two days are the same"


def test_only_homes_with_panels_export() -> None:
    assert {home.household.exported(MOMENT) > 0 for home in HOMES if home.has_panels} == {True}
    assert {home.household.exported(MOMENT) for home in HOMES if not home.has_panels} == {0}
