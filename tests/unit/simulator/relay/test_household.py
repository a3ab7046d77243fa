from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eagle_logger.simulator.relay import household
from eagle_logger.simulator.relay.homes import Home, homes
from eagle_logger.simulator.relay.household import PROFILE_S, SLOT_S, SOLAR_PROFILES

HOMES = homes(40, seed=3)
SUNNY = next(home for home in HOMES if home.profile in SOLAR_PROFILES)
PLAIN = next(home for home in HOMES if home.profile not in SOLAR_PROFILES)
MOMENT = 1_764_000_000


@pytest.mark.parametrize("home", [SUNNY, PLAIN], ids=["with panels", "without"])
@settings(max_examples=60, deadline=None)
@given(start=st.integers(MOMENT, MOMENT + PROFILE_S), seconds=st.integers(0, 3000))
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


def test_energy_is_exact_where_the_profile_repeats() -> None:
    house = SUNNY.household
    seam = PROFILE_S * 3000 - house.profile_offset_s
    assert house.imported(seam + SLOT_S) - house.imported(seam - SLOT_S) == sum(
        max(house.demand(second), 0) for second in range(seam - SLOT_S, seam + SLOT_S)
    )


def watts_of_day(home: Home, number: int) -> list[int]:
    """The home's demand in every slot of a local day."""
    midnight = (MOMENT // 86400 + number) * 86400
    return [home.household.demand(second) for second in range(midnight, midnight + 86400, SLOT_S)]


def test_panels_export_at_noon_and_never_at_night() -> None:
    # A household's profile begins up to two hours early, so only the hours around noon are sure.
    noons = [watts for number in range(14) for watts in watts_of_day(SUNNY, number)[2300:2500]]
    nights = [watts for number in range(14) for watts in watts_of_day(SUNNY, number)[:720]]
    assert min(noons) < -500
    assert min(nights) > 0


@pytest.mark.parametrize("number", range(household.PROFILES))
def test_a_profile_has_plausible_power_and_energy(number: int) -> None:
    profile = household.profile_of(3, number)
    watts = profile.watts
    assert -7000 < min(watts) < 1000
    assert 1500 < max(watts) < 16_000
    kilowatt_hours_a_day = profile.imported[-1] / 3_600_000 / household.PROFILE_DAYS
    assert 3 < kilowatt_hours_a_day < 60
    assert len(set(watts)) > 500, "no two days are the same"


def test_only_homes_with_panels_export() -> None:
    assert {
        home.household.exported(MOMENT) > 0 for home in HOMES if home.profile in SOLAR_PROFILES
    } == {True}
    assert {
        home.household.exported(MOMENT) for home in HOMES if home.profile not in SOLAR_PROFILES
    } == {0}
