"""Compares what the simulator served with what is archived, by its ledger and the archive alone.

Lines are read here with a plain JSON parser and compared as numbers, on purpose apart from how they
are written and sealed: a mistake there must not hide itself here.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from eagle_logger.archive.archive import Archive
from eagle_logger.core.paths import parse_archive_key
from eagle_logger.core.sealing import gunzipped
from eagle_logger.errors import Unreadable
from eagle_logger.inspection.index_claims import IndexClaims, read_index
from eagle_logger.inspection.ledger_file import (
    FSYNCED_WITHIN_S,
    Ledger,
    died_before_fsync,
    find_ledger,
    read_deaths,
    read_lines_of,
    read_replies,
)
from eagle_logger.inspection.reading_digest import (
    Digest,
    digest_of_reading,
    digest_of_whole_line,
    digests_of_line,
)
from eagle_logger.logs.folder import LogFolder

MOST_EXAMPLES = 10
_BYTES_SHOWN = 80
_NO_READINGS: frozenset[Digest] = frozenset()
_Line = dict[str, Any]
_DigestsByUser = Mapping[str, set[Digest]]


@dataclass(frozen=True, slots=True)
class LedgerComparison:
    """Counts of distinct readings (cloud id, device, meter, kind, time and values), unless they say
    otherwise."""

    objects: int
    readings_served: int
    readings_archived: int
    lost: int
    """Served and not archived, without an excuse."""
    not_archived_yet: int
    """Readings that were served, and are on this disk or on their way there. Rotation will archive
    them."""
    duplicated: int
    """Lines of the archive that say what another one says."""
    unreturnable: int
    """Served and not archived, but each time to a process that died before it could have been
    fsynced."""
    unexpected: int
    """Archived, and never served with these values: a decoder's mistake shows as lost and
    unexpected."""
    misfiled: int
    """Lines under another hour than their own, without the flag that says so."""
    unreadable: list[str] = field(default_factory=list)
    """Objects and lines that cannot be read, with the reason."""
    examples: list[str] = field(default_factory=list)
    """A few of the lost and unexpected readings, and of the doubled and misfiled lines."""
    not_indexed: int = 0
    """Objects that no index object names, in hours that the index covers."""
    index_wrong: list[str] = field(default_factory=list)
    """Where the archive's index says what is not so, or cannot be read."""

    @property
    def is_well(self) -> bool:
        return not self.lost and not self.duplicated and not self.index_wrong

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def verified(
    data_dir: Path,
    archive: Archive,
    ledger: str | None = None,
    deaths: Path | None = None,
    *,
    logs: LogFolder | None = None,
) -> LedgerComparison:
    """The verdict on a data directory and its archive.

    `ledger` is a file or a URL; without it, the directory's own ledger counts. `deaths` is a file,
    by default the directory's. Give `logs` if the system may still run: a reading that lies in them
    is not lost.

    Raises ConfigurationError if there is no ledger, ArchiveUnavailable if the archive does not
    answer.
    """
    deaths = deaths or data_dir / "deaths.jsonl"
    died = deaths.read_bytes().splitlines(keepends=True) if deaths.exists() else []
    with TemporaryDirectory(prefix="eagle-logger-") as directory:
        path = find_ledger(data_dir, ledger, Path(directory))
        on_disk = _lines_on_disk(logs) if logs else ()
        now = time.time() if logs else None
        return compare(lambda: read_lines_of(path), archive, died, on_disk=on_disk, now=now)


def compare(
    ledger: Ledger,
    archive: Archive,
    deaths: Iterable[bytes] = (),
    *,
    on_disk: Iterable[tuple[str, bytes]] = (),
    now: float | None = None,
) -> LedgerComparison:
    """Hold the archive against the ledger. `deaths` are the lines of `deaths.jsonl`.

    Beside a running system, `on_disk` gives the lines of its log files, each with its user, and
    `now` is the time (real Unix seconds). A reading in these lines, or one that was served a moment
    ago, counts as not archived yet. Replies to `fetch --dry-run` do not count. It needs some
    hundred bytes of memory for each reading served.

    Raises ArchiveUnavailable, and Unreadable for a file that is no ledger.
    """
    served = _served(ledger)
    waiting = _served_and_on_disk(on_disk, served)  # before the archive, because lines move there
    index = read_index(archive)  # before the objects, because they come first
    contents = _ArchiveContents(index)
    not_archived: dict[str, set[Digest]] = dict(served)
    for cloud_id, keys in groupby(_keys(archive), key=lambda key: key[1]):
        served_to_user = served.get(cloud_id, set())
        archived = contents.add(archive, cloud_id, (key for key, _, _ in keys), served_to_user)
        not_archived[cloud_id] = served_to_user - archived
    nowhere = {
        cloud_id: digests - waiting.get(cloud_id, _NO_READINGS)
        for cloud_id, digests in not_archived.items()
    }
    missing = _judge_missing(ledger, nowhere, deaths, now)
    return LedgerComparison(
        objects=contents.objects,
        readings_served=_count(served),
        readings_archived=contents.readings,
        lost=missing.lost,
        not_archived_yet=_count(not_archived) - _count(nowhere) + missing.on_their_way,
        duplicated=contents.duplicated,
        unreturnable=missing.unreturnable,
        unexpected=contents.unexpected,
        misfiled=contents.misfiled,
        unreadable=contents.unreadable,
        examples=missing.examples + contents.examples,
        not_indexed=index.not_named,
        index_wrong=index.wrong(archive),
    )


def _count(digests: _DigestsByUser) -> int:
    return sum(map(len, digests.values()))


def _served(ledger: Ledger) -> dict[str, set[Digest]]:
    served: defaultdict[str, set[Digest]] = defaultdict(set)
    for reply in read_replies(ledger):
        served[reply["cloud_id"]].update(map(digest_of_reading, reply["readings"]))
    return served


def _lines_on_disk(folder: LogFolder) -> Iterator[tuple[str, bytes]]:
    """The lines of open and sealed log files, each with its user.

    A file that is gone has moved on. An open one was sealed, so sealed files are read after the
    open ones; a sealed one was archived.
    """
    for hour in folder.hours():
        for shard in folder.shards(hour):
            for list_files in (folder.open_files, folder.sealed_files):
                for file in list_files(hour, shard):
                    with suppress(FileNotFoundError):
                        for line in file.path.read_bytes().splitlines():
                            yield file.cloud_id, line


def _served_and_on_disk(
    lines: Iterable[tuple[str, bytes]], served: _DigestsByUser
) -> dict[str, set[Digest]]:
    """Which of the readings that were served are in these lines. A line that is still being written
    is left out."""
    on_disk: defaultdict[str, set[Digest]] = defaultdict(set)
    for cloud_id, line in lines:
        if cloud_id in served:
            with suppress(ValueError, ArithmeticError, TypeError, KeyError):
                digests = digests_of_line(_parse(line))
                on_disk[cloud_id].update(served[cloud_id].intersection(digests))
    return on_disk


class _ArchiveContents:
    """What lies in the archive, gathered user by user."""

    def __init__(self, index: IndexClaims) -> None:
        self._index = index
        self.objects = self.readings = self.duplicated = self.unexpected = self.misfiled = 0
        self.unreadable: list[str] = []
        self.examples: list[str] = []

    def add(
        self, archive: Archive, cloud_id: str, keys: Iterable[str], served: set[Digest]
    ) -> set[Digest]:
        """Count what one user's objects hold. Returns the digests of its readings, with a time and
        without."""
        lines: set[Digest] = set()
        readings: set[Digest] = set()
        for key in keys:
            self.objects += 1
            for content, line in self._readable_lines(archive, key):
                whole_line = digest_of_whole_line(line)
                if whole_line in lines:
                    self.duplicated += 1
                    self._add_example("doubled", key, content)
                lines.add(whole_line)
                dated, undated = digests_of_line(line)
                is_expected = (
                    dated in served
                    or dated in readings
                    or (undated in served and _is_filed_by_arrival(line))
                )
                if not is_expected:
                    self.unexpected += 1
                    self._add_example("unexpected", key, content)
                readings |= {dated, undated}
                if line["cloud_id"] != cloud_id or not _is_filed_right(line, key):
                    self.misfiled += 1
                    self._add_example("misfiled", key, content)
        self.readings += len(lines)
        return readings

    def _readable_lines(self, archive: Archive, key: str) -> Iterator[tuple[bytes, _Line]]:
        try:
            body = archive.get(key)
            contents = gunzipped(body).splitlines()
        except (ValueError, Unreadable, KeyError) as exc:
            self.unreadable.append(f"{key}: {exc}")
            self._index.note_unreadable(key)
            return
        self._index.note_object(key, len(contents), body)
        for content in contents:
            try:
                line = _parse(content)
                digest_of_reading(line)
            except (ValueError, ArithmeticError, TypeError, KeyError) as exc:
                self.unreadable.append(f"{key}: {exc!r}: {content[:_BYTES_SHOWN]!r}")
            else:
                yield content, line

    def _add_example(self, what: str, key: str, content: bytes) -> None:
        if len(self.examples) < MOST_EXAMPLES:
            self.examples.append(f"{what}: {key}: {content.decode(errors='replace')}")


def _keys(archive: Archive) -> Iterator[tuple[str, str, str]]:
    """The keys of this program's objects, each with its user and hour."""
    for key in archive.keys("cloud_id="):
        named = parse_archive_key(key)
        if named is not None:
            yield key, named[0], named[1].name


def _parse(line: bytes) -> _Line:
    parsed: _Line = json.loads(line, parse_float=Decimal, parse_int=Decimal)
    return parsed


def _is_filed_right(line: _Line, key: str) -> bool:
    named = parse_archive_key(key)
    hour = named[1].name if named else ""
    return f"{line['time'][:10]}-{line['time'][11:13]}" == hour or _is_filed_by_arrival(line)


def _is_filed_by_arrival(line: _Line) -> bool:
    return "filed_by_arrival" in line["flags"]


@dataclass(frozen=True, slots=True)
class _Missing:
    """The readings that were served and are nowhere."""

    lost: int = 0
    on_their_way: int = 0
    """Those that a living process may still write."""
    unreturnable: int = 0
    examples: list[str] = field(default_factory=list)
    """A few of the lost ones."""


def _judge_missing(
    ledger: Ledger, missing: _DigestsByUser, deaths: Iterable[bytes], now: float | None
) -> _Missing:
    """Judge each missing reading by all replies that showed it. One reply to a process that lived
    long enough to log it makes it lost."""
    if not any(missing.values()):
        return _Missing()
    died = read_deaths(deaths)
    lost: dict[tuple[str, Digest], str] = {}
    on_their_way: set[tuple[str, Digest]] = set()
    for reply in read_replies(ledger):
        cloud_id = reply["cloud_id"]
        if not missing.get(cloud_id) or died_before_fsync(reply, died):
            continue
        is_recent = now is not None and reply["wall"] > now - FSYNCED_WITHIN_S
        for reading in reply["readings"]:
            digest = digest_of_reading(reading)
            if digest not in missing[cloud_id]:
                continue
            if is_recent:
                on_their_way.add((cloud_id, digest))
            else:
                example = f"lost: {cloud_id}: {json.dumps(reading)}"
                lost.setdefault((cloud_id, digest), example)
    on_their_way -= lost.keys()
    return _Missing(
        lost=len(lost),
        on_their_way=len(on_their_way),
        unreturnable=_count(missing) - len(lost) - len(on_their_way),
        examples=list(lost.values())[:MOST_EXAMPLES],
    )
