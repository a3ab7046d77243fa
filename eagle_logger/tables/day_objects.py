"""What the archive holds of a day's tables, and what its index says of the day's objects."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from eagle_logger.archive.archive import Archive
from eagle_logger.core.archive_index import IndexHead, IndexPart, decoded
from eagle_logger.core.paths import INDEX, IndexKey, parse_archive_key
from eagle_logger.core.table_names import (
    MOST_BUCKETS,
    Day,
    TableFile,
    bucket_of,
    buckets_for,
)
from eagle_logger.core.table_plan import VERSION, TableInput, TableManifest, TablePlan
from eagle_logger.errors import AlreadyThere, TableDamaged, Unreadable

Described = TypeVar("Described", TablePlan, TableManifest)


@dataclass(frozen=True, slots=True)
class StoredKeys:
    """Which objects of a day's tables there are."""

    plans: frozenset[TableFile]
    files: frozenset[TableFile]
    manifests: frozenset[TableFile]

    @property
    def unfinished(self) -> list[TableFile]:
        """Files that were planned and are not proved, in order."""
        return sorted(self.plans - self.manifests)

    @property
    def unplanned(self) -> list[TableFile]:
        """Files and manifests that no plan stands behind. Readers open such a file, so its
        readings may be there twice."""
        return sorted((self.files | self.manifests) - self.plans)


@dataclass(slots=True)
class DayIndex:
    """The index objects of a day, by their keys."""

    keys: list[str]
    unreadable: dict[str, str] = field(default_factory=dict)
    """The reason, by the key of an index object that cannot be read."""


class DayObjects:
    """The tables of one day in the archive. Its methods raise ArchiveUnavailable, and TableDamaged
    for a plan or a manifest that cannot be read."""

    def __init__(self, archive: Archive, day: Day) -> None:
        self.archive = archive
        self.day = day
        self.index = DayIndex(sorted(archive.keys(f"{INDEX}date={day}/")))

    def stored(self) -> StoredKeys:
        named: dict[str, set[TableFile]] = {"plan": set(), "file": set(), "manifest": set()}
        for prefix in (self.day.manifests_prefix, self.day.files_prefix):
            for key in self.archive.keys(prefix):
                file = TableFile.parse(key)
                if file is not None:
                    what = ("manifest", "file", "plan")[file.keys.index(key)]
                    named[what].add(file)
        plans, files, manifests = (frozenset(named[name]) for name in ("plan", "file", "manifest"))
        return StoredKeys(plans, files, manifests)

    @cached_property
    def buckets(self) -> int:
        """How many buckets the day has. Who asks first decides, and all others follow."""
        decided = self._buckets_decided()
        if decided is None:
            body = json.dumps({"v": VERSION, "buckets": buckets_for(self.rows_said())}).encode()
            with suppress(AlreadyThere):
                self.archive.put(self.day.buckets_key, body + b"\n", {"v": str(VERSION)})
            decided = self._buckets_decided()
        if decided is None:
            raise TableDamaged(f"{self.day.buckets_key} was put and is not there")
        return decided

    def plan(self, file: TableFile) -> TablePlan:
        return self._described(file.plan_key, lambda body: TablePlan.from_bytes(body, file))

    def manifest(self, file: TableFile) -> TableManifest:
        return self._described(file.manifest_key, lambda body: TableManifest.from_bytes(body, file))

    def index_parts(self, keys: Iterable[str]) -> Iterator[tuple[str, IndexPart]]:
        """The index objects of these keys one by one. What cannot be read is noted instead."""
        for key in keys:
            name = IndexKey.parse(key)
            if name is None:
                continue
            try:
                yield key, decoded(self.archive.get(key), name)
            except (Unreadable, ValueError) as exc:
                self.index.unreadable[key] = f"the index object cannot be read: {exc}"
            except KeyError:
                self.index.unreadable[key] = "the index object is listed, and is not there"

    def index_heads(self) -> list[IndexHead]:
        return [part.head for _, part in self.index_parts(self.index.keys)]

    def inputs_of(self, bucket: int, keys: Iterable[str]) -> dict[str, list[TableInput]]:
        """By index object, what it says of this bucket's objects."""
        inputs: dict[str, list[TableInput]] = {}
        for key, part in self.index_parts(keys):
            inputs[key] = [
                TableInput.of(entry)
                for entry in part.entries
                if (named := parse_archive_key(entry.key))
                and bucket_of(named[0], self.buckets) == bucket
            ]
        return inputs

    def buckets_with_work(self) -> list[int]:
        """The buckets in which a file is unfinished, or which do not cover the whole index."""
        if not self.index.keys:
            return []
        stored = self.stored()
        unfinished = {file.bucket for file in stored.unfinished}
        covered: dict[int, set[str]] = {bucket: set() for bucket in range(self.buckets)}
        for file in stored.manifests:
            covered.setdefault(file.bucket, set()).update(self.manifest(file).index)
        return [
            bucket
            for bucket, keys in covered.items()
            if bucket in unfinished or not keys.issuperset(self.index.keys)
        ]

    def rows_said(self) -> int:
        """How many rows the index names for the day."""
        return sum(
            entry.rows for _, part in self.index_parts(self.index.keys) for entry in part.entries
        )

    def _buckets_decided(self) -> int | None:
        key = self.day.buckets_key
        try:
            members = json.loads(self.archive.get(key))
            buckets = members["buckets"]
        except KeyError:
            return None
        except (Unreadable, ValueError, TypeError) as exc:
            raise TableDamaged(f"{key} cannot be read: {exc}") from None
        if type(buckets) is not int or not 1 <= buckets <= MOST_BUCKETS:
            raise TableDamaged(f"{key} says that the day has {buckets!r} buckets")
        return buckets

    def _described(self, key: str, read: Callable[[bytes], Described]) -> Described:
        try:
            return read(self.archive.get(key))
        except KeyError:
            raise TableDamaged(f"{key} is listed, and is not there") from None
        except (Unreadable, ValueError) as exc:
            raise TableDamaged(f"{key} cannot be read: {exc}") from None
