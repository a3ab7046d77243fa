"""Repeatable randomness. Whatever looks random in the simulator is a hash of a seed and of the
thing that it happens to, so the same seed gives the same homes, readings and faults."""

from __future__ import annotations

from hashlib import blake2b

_64_BITS = 2**64 - 1


def salt_of(*names: object) -> int:
    """64 evenly spread bits, always the same for these names."""
    return int.from_bytes(
        blake2b("/".join(map(str, names)).encode(), digest_size=8).digest(), "big"
    )


def random_bits(number: int, salt: int) -> int:
    """64 evenly spread bits for event `number` of the thing with this salt."""
    # A few multiplications instead of a hash function: this runs several times in every request.
    bits = (number * 0x9E3779B97F4A7C15 ^ salt) & _64_BITS
    bits = (bits ^ bits >> 32) * 0xD6E8FEB86659FD93 & _64_BITS
    bits = (bits ^ bits >> 29) * 0xBF58476D1CE4E5B9 & _64_BITS
    return bits ^ bits >> 32


def random_fraction(number: int, salt: int) -> float:
    """As `random_bits`, as a number from 0 to below 1."""
    return (random_bits(number, salt) >> 11) / 2**53
