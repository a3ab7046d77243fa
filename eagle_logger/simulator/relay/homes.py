"""The simulated homes: who they are, and what hangs on their walls. Home `i` of a seed is the same
whatever their number."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from hashlib import blake2b

from eagle_logger.simulator.relay.household import PROFILES, SOLAR, Household, profile

MOST_HOMES = 2**24
"""As many as there are cloud ids."""


class Spelling(IntEnum):
    """How a gateway's firmware writes hexadecimal numbers."""

    USUAL = 0  # 6 digits, lower case; a negative is what printing an int32 gives: 8 digits
    WIDE = 1  # 8 digits, upper case
    MANUAL = 2  # as the manual says: 24-bit two's complement in 6 digits


@dataclass(frozen=True, slots=True)
class Tariff:
    """Time-of-use prices: (label, price in units of the last digit) for each tier, and the tier of
    every hour of a day."""

    currency: int
    """ISO 4217 numeric."""
    letters: str
    digits: int
    """Digits behind the decimal point."""
    tiers: tuple[tuple[str, int], ...]
    hours: tuple[int, ...]


_NIGHT_MID_PEAK = (0,) * 7 + (1,) * 4 + (2,) * 6 + (1,) * 2 + (0,) * 5
NO_LABEL = "--"
"""What a gateway shows in place of a label."""
_DAY_AND_NIGHT = (0,) * 6 + (1,) * 16 + (0,) * 2
TARIFFS = (
    Tariff(
        840, "USD", 4, (("Off-peak", 812), ("Mid-peak", 1274), ("On-peak", 2419)), _NIGHT_MID_PEAK
    ),
    Tariff(840, "USD", 3, (("Set by User", 125),), (0,) * 24),
    Tariff(124, "CAD", 3, (("Off-peak", 82), ("Mid-peak", 113), ("On-peak", 170)), _NIGHT_MID_PEAK),
    Tariff(978, "EUR", 4, (("Block 1", 2391), ("Block 2", 3148)), _DAY_AND_NIGHT),
    Tariff(840, "USD", 2, ((NO_LABEL, 0),), (0,) * 24),  # nobody has set a price
)
_TARIFF_SHARES = (0,) * 7 + (1,) * 3 + (2,) * 3 + (3,) * 2 + (4,)
_SPELLINGS = (Spelling.USUAL,) * 14 + (Spelling.WIDE, Spelling.MANUAL)
_MULTIPLIERS = (1,) * 30 + (3, 0)
_ZONES = (-8, -7, -6, -5, -5, -4, 0, 1)


@dataclass(frozen=True)  # no slots: the household is worked out when it is first asked for
class Home:
    """One home: its account at the relay, its gateway and its meter."""

    index: int
    cloud_id: str
    user_email: str = field(repr=False)
    user_pw: str = field(repr=False)
    device: str
    """The EAGLE's own MAC, `0x` and 16 hex digits; `meter` is the meter's."""
    meter: str
    salt: int
    """What its accidents are drawn from."""
    seed: int
    profile: int
    zone: int
    """Seconds that local time is ahead of UTC."""
    spelling: Spelling
    multiplier: int
    """As the meter spells it: 0 means 1. The divisor is 1000 everywhere, so one unit is a watt, or
    a watt-hour."""
    tariff: Tariff
    price_every: int
    """Seconds between two prices."""
    first_units: int
    """What the meter's counter stood at when it was installed."""

    @cached_property
    def household(self) -> Household:
        bits = self.salt
        exports = self.profile in SOLAR
        fridge = (
            2400 + bits % 1800,
            700 + (bits >> 12) % 500,
            0 if exports else 70 + (bits >> 24) % 90,
        )
        return Household(
            profile=profile(self.seed, self.profile),
            begins=(bits >> 32) % 14 * 86400 + (bits >> 40) % 7200,
            base=0 if exports else 20 + (bits >> 52) % 180,
            fridge=fridge,
        )

    @property
    def has_panels(self) -> bool:
        return self.profile in SOLAR


def homes(n: int, seed: int) -> list[Home]:
    """The first `n` homes of this seed. Raises ValueError if there are not that many cloud ids."""
    if not 0 <= n <= MOST_HOMES:
        raise ValueError(f"between 0 and {MOST_HOMES} homes can be simulated")
    first = int.from_bytes(_bytes_of(seed, "first cloud id")[:3], "big")
    return [_home(index, seed, (first + index * 0x9E3779) % MOST_HOMES) for index in range(n)]


def _bytes_of(seed: int, what: object) -> bytes:
    return blake2b(f"{seed}/{what}".encode(), digest_size=32).digest()


def _home(index: int, seed: int, number: int) -> Home:
    drawn = _bytes_of(seed, index)
    cloud_id = f"{number:06x}"
    maker = "0x00135001" if drawn[8] & 1 else "0x00078100"
    return Home(
        index=index,
        cloud_id=cloud_id,
        user_email=f"home-{cloud_id}@homes.example",
        user_pw=f"not-a-real-password-{drawn[24:28].hex()}",
        device=f"0xd8d5b9{drawn[9:11].hex()}{number:06x}",
        meter=f"{maker}{drawn[11:12].hex()}{number:06x}",
        salt=int.from_bytes(drawn[:8], "big"),
        seed=seed,
        profile=drawn[12] % PROFILES,
        zone=3600 * _ZONES[drawn[13] % len(_ZONES)],
        spelling=_SPELLINGS[drawn[14] % len(_SPELLINGS)],
        multiplier=_MULTIPLIERS[drawn[15] % len(_MULTIPLIERS)],
        tariff=TARIFFS[_TARIFF_SHARES[drawn[16] % len(_TARIFF_SHARES)]],
        price_every=60 + drawn[17] % 121,
        first_units=int.from_bytes(drawn[18:21], "big"),
    )
