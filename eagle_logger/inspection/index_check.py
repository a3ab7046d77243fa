"""The part of `eagle-logger check` that holds the archive's index against its objects.

The index is sorted by hour and the archive by home, so neither can be held beside the other in
memory. Each hour's index and objects are first reduced to a count and a sum of digests. Only hours
in which these differ are compared object by object.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import islice

from eagle_logger.archive.archive import Archive
from eagle_logger.archive.index_reading import HourIndex, each_hour_index, index_of
from eagle_logger.core.archive_index import IndexEntry
from eagle_logger.core.hours import SECONDS_PER_HOUR, Hour
from eagle_logger.core.paths import INDEX, IndexKey, parse_archive_key
from eagle_logger.core.sealing import OBJECT_DIGEST

_HOURS_AT_ONCE = 24
"""Hours that are compared object by object with one listing of the archive."""
_INDEXED_WITHIN_S = 3 * SECONDS_PER_HOUR
"""Seconds after the end of an hour in which a node may still be about to index it."""
_MODULUS = 1 << 128
_ADVICE = "`eagle-logger index rebuild` indexes it"


@dataclass(slots=True)
class _Sum:
    """An order-free digest of index entries."""

    count: int = 0
    total: int = 0

    def add(self, entry: IndexEntry) -> None:
        self.count += 1
        digest = int.from_bytes(hashlib.sha256(entry.to_json()).digest()[:16])
        self.total = (self.total + digest) % _MODULUS


@dataclass(slots=True)
class IndexCheck:
    """Holds what the index says against what the objects hold. Call `read_index`, then `add_object`
    for every sound object, then `compare`."""

    archive: Archive
    since: Hour
    add_finding: Callable[[str, object, str], None]
    index_objects: int = 0
    not_indexed: int = 0
    """Objects that no index object names."""
    _index_sums: dict[Hour, _Sum] = field(default_factory=dict)
    _object_sums: defaultdict[Hour, _Sum] = field(default_factory=lambda: defaultdict(_Sum))

    def read_index(self) -> None:
        for key in self.archive.keys(INDEX):
            if IndexKey.parse(key) is None:
                self.add_finding("unreadable", key, "not the name of an index object")
        for index in each_hour_index(self.archive, self.since):
            self.index_objects += len(index.parts) + len(index.unreadable)
            self._check_index_objects(index)
            total = self._index_sums[index.hour] = _Sum()
            for said in index.named_by().values():
                for entry in said:
                    total.add(entry)

    def add_object(self, hour: Hour, entry: IndexEntry) -> None:
        """Note what an object that was read and is sound should be said to hold."""
        self._object_sums[hour].add(entry)

    def compare(
        self, reported: AbstractSet[str], on_this_disk: AbstractSet[str], now: float | None
    ) -> None:
        """Find where index and objects differ. `reported` are the keys of objects in which
        something was found: nobody can say what the index should say of them. `on_this_disk` are
        the keys of this disk's receipts: rotation is about to index these. `now` is the time, if
        the system runs."""
        differing = iter(
            sorted(
                hour
                for hour, total in self._index_sums.items()
                if total != self._object_sums.get(hour, _Sum())
            )
        )
        for hour, total in self._object_sums.items():
            if hour not in self._index_sums:
                self.not_indexed += total.count
        while hours := list(islice(differing, _HOURS_AT_ONCE)):
            self._compare_hours(hours, reported, on_this_disk, now)

    def _check_index_objects(self, index: HourIndex) -> None:
        for key, reason in index.unreadable.items():
            self.add_finding("unreadable", key, reason)
        for part in index.parts:
            key = part.head.name.key
            info = self.archive.head(key)
            if info is not None and info.metadata.get(OBJECT_DIGEST) != (
                info.sha256 or hashlib.sha256(self.archive.get(key)).hexdigest()
            ):
                detail = f"{OBJECT_DIGEST} in its metadata is not that of its content"
                self.add_finding("damaged", key, detail)

    def _compare_hours(
        self,
        hours: Iterable[Hour],
        reported: AbstractSet[str],
        on_this_disk: AbstractSet[str],
        now: float | None,
    ) -> None:
        keys: dict[Hour, list[str]] = {hour: [] for hour in hours}
        for key in self.archive.keys("cloud_id="):
            named = parse_archive_key(key)
            if named is not None and named[1] in keys:
                keys[named[1]].append(key)
        for hour, listed in keys.items():
            # Read anew, after the objects: what was archived and indexed meanwhile is no finding.
            index = index_of(self.archive, hour)
            named_by = index.named_by()
            is_recent = now is not None and now < hour.end + _INDEXED_WITHIN_S
            for key in listed:
                said = named_by.pop(key, None)
                if key in reported:
                    continue
                if said is not None:
                    self._check_entries(key, said)
                elif key not in on_this_disk and not is_recent:
                    self.not_indexed += 1
                    if index.is_complete:
                        detail = f"the index of its hour does not name it; {_ADVICE}"
                        self.add_finding("not indexed", key, detail)
            for key, said in named_by.items():
                if self.archive.head(key) is None:
                    [index_key, *_] = said.values()
                    self.add_finding("missing", key, f"{index_key} names it")

    def _check_entries(self, key: str, said: dict[IndexEntry, str]) -> None:
        info = self.archive.head(key)
        try:
            held = IndexEntry.from_metadata(key, info.size, info.metadata) if info else None
        except ValueError:
            return
        for entry, index_key in said.items():
            if held is not None and entry != held:
                detail = f"it says of {key} what is not so: {_difference(entry, held)}"
                self.add_finding("damaged", index_key, detail)


def _difference(said: IndexEntry, held: IndexEntry) -> str:
    names = ("rows", "first", "last", "size", "plain_sha256", "object_sha256")
    return ", ".join(
        f"{name} {getattr(said, name)!r} instead of {getattr(held, name)!r}"
        for name in names
        if getattr(said, name) != getattr(held, name)
    )
