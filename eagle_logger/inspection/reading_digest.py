"""Digests of readings, by which the ledger and the archive are compared.

A digest depends on what a gateway says, and not on how it is written: numbers count as numbers, and
a time in a log line as the same moment in the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from eagle_logger.core.kinds import KINDS

Digest = bytes

_VALUES = {name: (*spec.numbers, *spec.texts) for name, spec in KINDS.items()}
"""What is compared, by kind: what a gateway says, without what is only derived from it."""
_NUMBERS = frozenset(name for spec in KINDS.values() for name in spec.numbers)
_NOT_PART_OF_READING = frozenset({"arrived", "raw", "flags"})


def digest_of_reading(reading: Mapping[str, Any]) -> Digest:
    """The digest of a reading in the ledger, or in a line."""
    return _digest(reading, _VALUES[reading["kind"]])


def digests_of_line(line: Mapping[str, Any]) -> tuple[Digest, Digest]:
    """The digest of the reading in a line, and of the same reading served without a time, if a
    reading of this kind may be."""
    dated = digest_of_reading(line)
    if not KINDS[line["kind"]].holds_without_time:
        return dated, dated
    return dated, digest_of_reading({**line, "time": None})


def digest_of_whole_line(line: Mapping[str, Any]) -> Digest:
    """The digest of all that a line says of its reading, derived values included."""
    return _digest(line, sorted(set(line) - _NOT_PART_OF_READING))


def _digest(reading: Mapping[str, Any], names: Iterable[str]) -> Digest:
    time = None if reading["time"] is None else _unix(reading["time"])
    identity = (reading["device"], reading["meter"], reading["kind"], time)
    values = (f"{name}={_comparable(name, reading.get(name))}" for name in names if name != "time")
    content = "\0".join((*map(str, identity), *values))
    return blake2b(content.encode(errors="replace"), digest_size=16).digest()


def _comparable(name: str, value: Any) -> str:
    if value is None or isinstance(value, bool):
        return str(value)
    return str(Decimal(value).normalize() + 0) if name in _NUMBERS else str(value)


def _unix(time: Any) -> int:
    return _unix_of_text(time) if isinstance(time, str) else int(time)


@lru_cache(maxsize=4096)
def _unix_of_text(time: str) -> int:
    return int(datetime.fromisoformat(time).timestamp())
