"""Chance that can be repeated: everything accidental in the simulator is a hash of a seed and of
what it happens to."""

from __future__ import annotations

from hashlib import blake2b

_64_BITS = 2**64 - 1


def salt_of(*names: object) -> int:
    """64 evenly spread bits that are always the same for these names."""
    return int.from_bytes(
        blake2b("/".join(map(str, names)).encode(), digest_size=8).digest(), "big"
    )


def mixed(number: int, salt: int) -> int:
    """64 evenly spread bits for the number-th event of whatever has this salt; cheap enough for
    every request."""
    bits = (number * 0x9E3779B97F4A7C15 ^ salt) & _64_BITS
    bits = (bits ^ bits >> 32) * 0xD6E8FEB86659FD93 & _64_BITS
    bits = (bits ^ bits >> 29) * 0xBF58476D1CE4E5B9 & _64_BITS
    return bits ^ bits >> 32


def share(number: int, salt: int) -> float:
    """The same, as a number in [0, 1)."""
    return (mixed(number, salt) >> 11) / 2**53
