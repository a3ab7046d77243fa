"""What the archive's index claims, held against the objects by `eagle-logger verify`.

Its lines are read here with a plain JSON parser, on purpose apart from how they are written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

from eagle_logger.archive.archive import Archive
from eagle_logger.core.sealing import gunzipped
from eagle_logger.errors import Unreadable

_MOST_SHOWN = 20

_Claim = tuple[int, int, str]
"""Rows, size and digest of an object."""


class IndexClaims:
    """What is said of each object. `not_named`: objects that no index object names, in hours that
    have an index."""

    def __init__(self) -> None:
        self.not_named = 0
        self._hours: set[tuple[str, str]] = set()
        self._claims: dict[str, set[_Claim]] = {}
        self._named_by: dict[str, str] = {}
        self._wrong: list[str] = []

    def read(self, key: str, body: bytes) -> None:
        """Take the claims of one index object. One that cannot be read is wrong."""
        _, date, hour, file = key.split("/")
        self._hours.add((date.removeprefix("date="), hour.removeprefix("hour=")))
        try:
            head, *lines = map(json.loads, gunzipped(body).splitlines())
            node, number, *_ = file.split(".")
            if (head["node"], str(head["number"]), head["entries"]) != (node, number, len(lines)):
                raise ValueError(f"its head says {head}")
            for line in lines:
                claim = (line["rows"], line["size"], line["object-sha256"])
                self._claims.setdefault(line["key"], set()).add(claim)
                if self._named_by.setdefault(f"{node} {line['key']}", key) != key:
                    self._wrong.append(f"{key}: names {line['key']} for the second time")
        except (ValueError, KeyError, TypeError, Unreadable) as exc:
            self._wrong.append(f"{key}: {exc}")

    def note_object(self, key: str, rows: int, body: bytes) -> None:
        """Hold an object against what is claimed of it."""
        claims = self._claims.pop(key, None)
        if claims is None:
            self.not_named += _hour_in(key) in self._hours
            return
        held = (rows, len(body), hashlib.sha256(body).hexdigest())
        for claim in claims - {held}:
            self._wrong.append(f"{key}: the index says {claim}, it is {held}")

    def note_unreadable(self, key: str) -> None:
        """Leave an object out: that it cannot be read is reported elsewhere."""
        self._claims.pop(key, None)

    def wrong(self, archive: Archive) -> list[str]:
        """What is claimed and not so. Call it after all objects were noted."""
        absent = (key for key in self._claims if archive.head(key) is None)
        missing = [f"{key}: the index names it, and there is no such object" for key in absent]
        return (self._wrong + missing)[:_MOST_SHOWN]


def read_index(archive: Archive) -> IndexClaims:
    """The claims of the whole index. Raises ArchiveUnavailable."""
    claims = IndexClaims()
    for key, body in _bodies(archive):
        claims.read(key, body)
    return claims


def _bodies(archive: Archive) -> Iterator[tuple[str, bytes]]:
    for key in archive.keys("_index/"):
        try:
            yield key, archive.get(key)
        except (Unreadable, KeyError):
            yield key, b""


def _hour_in(key: str) -> tuple[str, str]:
    """The date and hour in the key of an object."""
    name = key.rpartition("/")[2].split(".")[0]
    return name[7:17], name[18:20]
