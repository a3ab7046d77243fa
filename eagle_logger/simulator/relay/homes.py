"""The simulated homes: account, gateway and meter of each. Home `i` of a seed is the same however
many homes are simulated."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from hashlib import blake2b

from eagle_logger.simulator.relay.household import (
    DAY_S,
    PROFILES,
    SOLAR_PROFILES,
    Fridge,
    Household,
    profile_of,
)

MOST_HOMES = 2**24
"""As many as there are cloud ids."""


class Spelling(IntEnum):
    """How a gateway's firmware writes a demand. The rarer two are for a few homes each."""

    USUAL = 0
    """6 digits in lower case; a negative number has 8, as printing an int32 gives (captured)."""
    WIDE = 1
    """8 digits in upper case: width and case vary (captured)."""
    MANUAL = 2
    """24-bit two's complement in 6 digits (the vendor's manual)."""


@dataclass(frozen=True, slots=True)
class Tariff:
    """Time-of-use prices."""

    currency: int
    """ISO 4217 numeric."""
    letters: str
    """ISO 4217 alphabetic."""
    digits: int
    """Digits behind the decimal point."""
    tiers: tuple[tuple[str, int], ...]
    """Each tier's label, and its price in units of the last digit."""
    tier_by_hour: tuple[int, ...]
    """The tier in each hour of a local day."""


NO_LABEL = "--"
"""What a gateway shows in place of a label."""
_ALL_DAY = (0,) * 24
_DAY_AND_NIGHT = (0,) * 6 + (1,) * 16 + (0,) * 2
_NIGHT_MID_PEAK = (0,) * 7 + (1,) * 4 + (2,) * 6 + (1,) * 2 + (0,) * 5
_US_TIERS = (("Off-peak", 812), ("Mid-peak", 1274), ("On-peak", 2419))
_CANADIAN_TIERS = (("Off-peak", 82), ("Mid-peak", 113), ("On-peak", 170))
TARIFFS = (
    Tariff(840, "USD", 4, _US_TIERS, _NIGHT_MID_PEAK),
    Tariff(840, "USD", 3, (("Set by User", 125),), _ALL_DAY),
    Tariff(124, "CAD", 3, _CANADIAN_TIERS, _NIGHT_MID_PEAK),
    Tariff(978, "EUR", 4, (("Block 1", 2391), ("Block 2", 3148)), _DAY_AND_NIGHT),
    Tariff(840, "USD", 2, ((NO_LABEL, 0),), _ALL_DAY),  # price 0 means that nobody has set one
)

# How often each occurs among the homes: every entry of a tuple is as likely as the others.
_TARIFF_NUMBERS = (0,) * 7 + (1,) * 3 + (2,) * 3 + (3,) * 2 + (4,)
_SPELLINGS = (Spelling.USUAL,) * 14 + (Spelling.WIDE, Spelling.MANUAL)
_MULTIPLIERS = (1,) * 30 + (3, 0)  # 0 and 3 were captured; 0 means 1
_UTC_OFFSETS_H = (-8, -7, -6, -5, -5, -4, 0, 1)
_METER_PREFIXES = ("0x00078100", "0x00135001")  # of real meters


@dataclass(frozen=True)  # without slots, because `household` is computed at first use and kept
class Home:
    """One home: its account at the relay, its gateway and its meter."""

    index: int
    cloud_id: str
    user_email: str = field(repr=False)
    user_pw: str = field(repr=False)
    device: str
    """The gateway's own MAC: `0x` and 16 hex digits."""
    meter: str
    """The meter's MAC, spelled likewise."""
    salt: int
    """What all that happens to this home by chance is derived from."""
    seed: int
    profile: int
    """The number of the household's profile."""
    utc_offset_s: int
    """What is added to UTC to get local time."""
    spelling: Spelling
    multiplier: int
    """As the meter gives it: 0 means 1. The divisor is 1000 in every home, so that one unit is a
    watt, or a watt-hour."""
    tariff: Tariff
    price_period_s: int
    first_units: int
    """What the meter's counter showed when it was installed."""

    @cached_property
    def household(self) -> Household:
        bits = self.salt
        exports = self.profile in SOLAR_PROFILES
        return Household(
            profile=profile_of(self.seed, self.profile),
            profile_offset_s=(bits >> 32) % 14 * DAY_S + (bits >> 40) % 7200,
            base_watts=0 if exports else 20 + (bits >> 52) % 180,
            fridge=Fridge(
                period_s=2400 + bits % 1800,
                running_s=700 + (bits >> 12) % 500,
                watts=0 if exports else 70 + (bits >> 24) % 90,
            ),
        )


def homes(n: int, seed: int) -> list[Home]:
    """The first `n` homes of this seed. Raises ValueError if there are not that many cloud ids."""
    if not 0 <= n <= MOST_HOMES:
        raise ValueError(f"between 0 and {MOST_HOMES} homes can be simulated")
    first = int.from_bytes(_random_bytes(seed, "first cloud id")[:3], "big")
    # An odd step visits each of the 2**24 cloud ids once before the first one comes again.
    return [_home(index, seed, (first + index * 0x9E3779) % MOST_HOMES) for index in range(n)]


def _random_bytes(seed: int, name: object) -> bytes:
    return blake2b(f"{seed}/{name}".encode(), digest_size=32).digest()


def _home(index: int, seed: int, number: int) -> Home:
    drawn = _random_bytes(seed, index)
    cloud_id = f"{number:06x}"
    return Home(
        index=index,
        cloud_id=cloud_id,
        user_email=f"home-{cloud_id}@homes.example",
        user_pw=f"not-a-real-password-{drawn[24:28].hex()}",
        device=f"0xd8d5b9{drawn[9:11].hex()}{number:06x}",
        meter=f"{_METER_PREFIXES[drawn[8] & 1]}{drawn[11:12].hex()}{number:06x}",
        salt=int.from_bytes(drawn[:8], "big"),
        seed=seed,
        profile=drawn[12] % PROFILES,
        utc_offset_s=3600 * _UTC_OFFSETS_H[drawn[13] % len(_UTC_OFFSETS_H)],
        spelling=_SPELLINGS[drawn[14] % len(_SPELLINGS)],
        multiplier=_MULTIPLIERS[drawn[15] % len(_MULTIPLIERS)],
        tariff=TARIFFS[_TARIFF_NUMBERS[drawn[16] % len(_TARIFF_NUMBERS)]],
        price_period_s=60 + drawn[17] % 121,
        first_units=int.from_bytes(drawn[18:21], "big"),
    )
