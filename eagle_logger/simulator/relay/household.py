"""What a household draws from the grid, in whole watts, as a pure function of time, and its exact
integral.

A profile is two weeks of net power in slots of 20 s, with the running sums of what was imported and
what was exported before each slot; it repeats for ever. A household has a profile, begins it
somewhere of its own, and (unless it exports) adds a constant load and a fridge of its own. Power is
constant within a slot, so the integral in watt-seconds is an exact integer.
"""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from random import Random

SLOT = 20
"""Seconds for which a profile's power stays the same."""
DAY = 86400
DAYS = 14
PERIOD = DAYS * DAY
SLOTS = PERIOD // SLOT

PROFILES = 16
SOLAR = frozenset({3, 7, 11, 15})
"""Which profiles have panels on the roof, and so now and then negative demand."""
HEATED = frozenset({1, 5, 7, 9, 13})
ELECTRIC_CAR = frozenset({2, 9, 11})


@dataclass(frozen=True, slots=True)
class Profile:
    """Two weeks of net power: `watts` in each slot, and the watt-seconds that flowed either way
    before it."""

    watts: array[int]
    imported: array[int]
    exported: array[int]

    def energy(self, running: array[int], sign: int, second: int) -> int:
        """Watt-seconds that flowed one way (`running` with its `sign`: +1 in, -1 out) between
        second 0 and `second`."""
        cycles, rest = divmod(second, PERIOD)
        slot, seconds = divmod(rest, SLOT)
        return cycles * running[SLOTS] + running[slot] + max(sign * self.watts[slot], 0) * seconds


@dataclass(frozen=True, slots=True)
class Household:
    """One household's power. Seconds are local Unix seconds: the household's clock on the wall, as
    if it were UTC."""

    profile: Profile
    begins: int
    base: int
    """Watts drawn day and night; 0 where there are panels."""
    fridge: tuple[int, int, int]
    """Period and running time in seconds, and watts."""

    def demand(self, second: int) -> int:
        """Net watts at that second; negative while more is produced than used."""
        period, running, watts = self.fridge
        cooling = watts if second % period < running else 0
        return self.profile.watts[(second + self.begins) // SLOT % SLOTS] + self.base + cooling

    def imported(self, second: int) -> int:
        """Watt-seconds taken from the grid since second 0."""
        period, running, watts = self.fridge
        cycles, rest = divmod(second, period)
        own = self.base * second + watts * (cycles * running + min(rest, running))
        return own + self._of_profile(self.profile.imported, 1, second)

    def exported(self, second: int) -> int:
        """Watt-seconds given to the grid since second 0."""
        return self._of_profile(self.profile.exported, -1, second)

    def _of_profile(self, running: array[int], sign: int, second: int) -> int:
        profile = self.profile
        return profile.energy(running, sign, second + self.begins) - profile.energy(
            running, sign, self.begins
        )


@cache
def profile(seed: int, number: int) -> Profile:
    """The profile of that number (0 to PROFILES - 1), worked out when the first household needs it."""
    chance = Random(f"{seed}/profile/{number}")  # noqa: S311  (a household, not a secret)
    watts = [80 + int(chance.random() * 35) for _ in range(SLOTS)]
    for day in range(DAYS):
        _appliances(watts, day, chance)
        if number in ELECTRIC_CAR and chance.random() < 0.7:
            _switch_on(watts, day, chance.uniform(21, 23), chance.uniform(1, 3.5), 7200)
    if number in HEATED:
        _heating(watts, chance)
    if number in SOLAR:
        _sunshine(watts, chance)
    imported = accumulate((max(w, 0) * SLOT for w in watts), initial=0)
    exported = accumulate((max(-w, 0) * SLOT for w in watts), initial=0)
    return Profile(array("i", watts), array("q", imported), array("q", exported))


def _appliances(watts: list[int], day: int, chance: Random) -> None:
    weekend = day % 7 >= 5
    morning = chance.uniform(8, 10) if weekend else chance.uniform(6, 7.5)
    evening = chance.uniform(17, 19.5)
    _switch_on(watts, day, morning, chance.uniform(0.05, 0.1), 2200)  # kettle
    _switch_on(watts, day, morning, chance.uniform(0.5, 1.2), 150)  # lights
    _switch_on(
        watts, day, evening, chance.uniform(0.3, 0.9), chance.randrange(1200, 2600)
    )  # cooking
    _switch_on(
        watts, day, evening, chance.uniform(3, 5), chance.randrange(120, 420)
    )  # lights, television
    if weekend or chance.random() < 0.3:
        washing = chance.uniform(9, 20)
        _switch_on(watts, day, washing, 0.3, 2050)
        _switch_on(watts, day, washing + 0.3, 0.8, 310)
    if chance.random() < 0.6:
        _switch_on(watts, day, evening + chance.uniform(1, 2.5), 0.6, 1350)  # dishes


def _switch_on(watts: list[int], day: int, hour: float, hours: float, power: int) -> None:
    start = int((day * 24 + hour) * 3600 / SLOT)
    for slot in range(start, min(start + max(1, int(hours * 3600 / SLOT)), SLOTS)):
        watts[slot] += power


def _heating(watts: list[int], chance: Random) -> None:
    """A heat pump that runs for a part of each half hour: the longer, the colder."""
    power = chance.randrange(900, 2400)
    for day in range(DAYS):
        mildness = chance.uniform(0.1, 0.6)
        for half_hour in range(48):
            cold = 0.75 + 0.25 * math.cos((half_hour / 2 - 4) / 24 * math.tau) - mildness
            _switch_on(watts, day, half_hour / 2, min(0.5, max(0.02, cold / 2)), power)


def _sunshine(watts: list[int], chance: Random) -> None:
    peak = chance.randrange(2500, 6500)
    for day in range(DAYS):
        haze, clouds = chance.uniform(0.5, 1), chance.uniform(0, 0.7)
        cover = 0.0
        for slot in range(7 * 3600 // SLOT, 18 * 3600 // SLOT):
            if (
                chance.random() < 0.02
            ):  # the cloud before the sun changes about every quarter of an hour
                cover = clouds * chance.random()
            height = math.sin((slot * SLOT / 3600 - 7) / 11 * math.pi)
            watts[day * DAY // SLOT + slot] -= int(peak * haze * (1 - cover) * height * height)
