"""What a household draws from the grid, in whole watts, as a pure function of time, and the exact
integral of it.

A profile is two weeks of net power in slots of 20 s, which repeats for ever. It holds for each slot
how much energy was imported and exported before it. A household follows a profile, from a start of
its own, and (unless it exports) adds a constant load and a fridge. Power is constant within a slot,
so the integral in watt-seconds is an exact integer.
"""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from random import Random
from typing import NamedTuple

DAY_S = 86400
SLOT_S = 20
"""A profile's power stays the same for this long."""
PROFILE_DAYS = 14
PROFILE_S = PROFILE_DAYS * DAY_S
PROFILE_SLOTS = PROFILE_S // SLOT_S

PROFILES = 16
SOLAR_PROFILES = frozenset({3, 7, 11, 15})
"""The profiles with panels on the roof. Their demand is negative while the sun shines enough."""
HEATED_PROFILES = frozenset({1, 5, 7, 9, 13})
ELECTRIC_CAR_PROFILES = frozenset({2, 9, 11})


@dataclass(frozen=True, slots=True)
class Profile:
    watts: array[int]
    """Net power in each slot."""
    imported: array[int]
    """Watt-seconds taken from the grid before each slot."""
    exported: array[int]
    """Watt-seconds given to the grid before each slot."""

    def energy(self, before_slots: array[int], sign: int, second: int) -> int:
        """Watt-seconds that flowed in one direction between second 0 and `second`.

        `before_slots` is `imported` with the sign +1, or `exported` with the sign -1.
        """
        repetitions, rest = divmod(second, PROFILE_S)
        slot, seconds = divmod(rest, SLOT_S)
        in_slot = max(sign * self.watts[slot], 0) * seconds
        return repetitions * before_slots[PROFILE_SLOTS] + before_slots[slot] + in_slot


class Fridge(NamedTuple):
    period_s: int
    running_s: int
    """How long it runs at the beginning of each period."""
    watts: int


@dataclass(frozen=True, slots=True)
class Household:
    """One household's power. Every `second` is in local time: what the clock on the wall shows, as
    Unix seconds as if it showed UTC."""

    profile: Profile
    profile_offset_s: int
    """Where in its profile the household is at second 0."""
    base_watts: int
    """Drawn day and night; 0 where there are panels."""
    fridge: Fridge

    def demand(self, second: int) -> int:
        """Net watts at that second; negative while more is produced than used."""
        period, running, watts = self.fridge
        cooling = watts if second % period < running else 0
        slot = (second + self.profile_offset_s) // SLOT_S % PROFILE_SLOTS
        return self.profile.watts[slot] + self.base_watts + cooling

    def imported(self, second: int) -> int:
        """Watt-seconds taken from the grid since second 0."""
        period, running, watts = self.fridge
        periods, rest = divmod(second, period)
        added = self.base_watts * second + watts * (periods * running + min(rest, running))
        return added + self._energy_of_profile(self.profile.imported, 1, second)

    def exported(self, second: int) -> int:
        """Watt-seconds given to the grid since second 0."""
        return self._energy_of_profile(self.profile.exported, -1, second)

    def _energy_of_profile(self, before_slots: array[int], sign: int, second: int) -> int:
        profile, offset = self.profile, self.profile_offset_s
        until_second = profile.energy(before_slots, sign, second + offset)
        return until_second - profile.energy(before_slots, sign, offset)


@cache
def profile_of(seed: int, number: int) -> Profile:
    """Profile `number` (0 to PROFILES - 1), computed when the first household needs it."""
    random = Random(f"{seed}/profile/{number}")  # noqa: S311  (a household, not a secret)
    watts = [80 + int(random.random() * 35) for _ in range(PROFILE_SLOTS)]
    for day in range(PROFILE_DAYS):
        _add_appliances(watts, day, random)
        if number in ELECTRIC_CAR_PROFILES and random.random() < 0.7:
            _add_load(watts, day, random.uniform(21, 23), random.uniform(1, 3.5), 7200)
    if number in HEATED_PROFILES:
        _add_heat_pump(watts, random)
    if number in SOLAR_PROFILES:
        _subtract_sunshine(watts, random)
    imported = accumulate((max(w, 0) * SLOT_S for w in watts), initial=0)
    exported = accumulate((max(-w, 0) * SLOT_S for w in watts), initial=0)
    return Profile(array("i", watts), array("q", imported), array("q", exported))


def _add_appliances(watts: list[int], day: int, random: Random) -> None:
    weekend = day % 7 >= 5
    morning = random.uniform(8, 10) if weekend else random.uniform(6, 7.5)
    evening = random.uniform(17, 19.5)
    # A kettle, and lights.
    _add_load(watts, day, morning, random.uniform(0.05, 0.1), 2200)
    _add_load(watts, day, morning, random.uniform(0.5, 1.2), 150)
    # Cooking, then lights and television.
    _add_load(watts, day, evening, random.uniform(0.3, 0.9), random.randrange(1200, 2600))
    _add_load(watts, day, evening, random.uniform(3, 5), random.randrange(120, 420))
    if weekend or random.random() < 0.3:
        washing = random.uniform(9, 20)
        _add_load(watts, day, washing, 0.3, 2050)
        _add_load(watts, day, washing + 0.3, 0.8, 310)
    if random.random() < 0.6:
        dishes = evening + random.uniform(1, 2.5)
        _add_load(watts, day, dishes, 0.6, 1350)


def _add_load(watts: list[int], day: int, hour: float, hours: float, power: int) -> None:
    start = int((day * 24 + hour) * 3600 / SLOT_S)
    end = start + max(1, int(hours * 3600 / SLOT_S))
    for slot in range(start, min(end, PROFILE_SLOTS)):
        watts[slot] += power


def _add_heat_pump(watts: list[int], random: Random) -> None:
    """The pump runs for a part of each half hour: the colder it is, the longer."""
    power = random.randrange(900, 2400)
    for day in range(PROFILE_DAYS):
        mildness = random.uniform(0.1, 0.6)
        for half_hour in range(48):
            cold = 0.75 + 0.25 * math.cos((half_hour / 2 - 4) / 24 * math.tau) - mildness
            _add_load(watts, day, half_hour / 2, min(0.5, max(0.02, cold / 2)), power)


def _subtract_sunshine(watts: list[int], random: Random) -> None:
    """The sun shines from 7 to 18 o'clock. Its clouds change about every quarter of an hour."""
    peak = random.randrange(2500, 6500)
    for day in range(PROFILE_DAYS):
        haze, clouds = random.uniform(0.5, 1), random.uniform(0, 0.7)
        cover = 0.0
        for slot in range(7 * 3600 // SLOT_S, 18 * 3600 // SLOT_S):
            if random.random() < 0.02:
                cover = clouds * random.random()
            height = math.sin((slot * SLOT_S / 3600 - 7) / 11 * math.pi)
            power = int(peak * haze * (1 - cover) * height * height)
            watts[day * DAY_S // SLOT_S + slot] -= power
