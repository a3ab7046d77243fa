"""What was served against what is archived: the simulator's ledger and the archive, and nothing of
the pipeline between them.

Lines are read here with a plain JSON parser and compared as numbers, on purpose apart from how they
are written and sealed.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from eagle_logger.archive.archive import Archive
from eagle_logger.core.kinds import KINDS
from eagle_logger.core.paths import parse_archive_key
from eagle_logger.core.sealing import gunzipped
from eagle_logger.errors import ConfigurationError, Unreadable
from eagle_logger.logs.folder import LogFolder

UNSYNCED = 12.0
"""Real seconds within which a reply's readings are fsynced, or its process says that they cannot
be."""
_SIGN_OF_LIFE = 5.0
"""Real seconds between two signs of life of a system whose end nobody saw, at most."""
MOST_EXAMPLES = 10
_LEDGERS = ("ledger.jsonl", "simulator/ledger.jsonl")
"""Where a data directory may have its ledger."""

_VALUES = {name: (*spec.numbers, *spec.texts) for name, spec in KINDS.items()}
"""What is compared, by kind: what a gateway says, without what is only derived from it."""
_NUMBERS = frozenset(name for spec in KINDS.values() for name in spec.numbers)

DRY_RUN = "dry-run"
"""The name, in its User-Agent, of a process that asks a gateway and logs nothing."""
_NONE: frozenset[bytes] = frozenset()

Ledger = Callable[[], Iterable[bytes]]
"""Gives the ledger's lines anew each time it is called."""
Digest = bytes


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

    @property
    def is_well(self) -> bool:
        return not self.lost and not self.duplicated

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
    """The verdict on a data directory and its archive. `ledger` is a file or a URL; without it, the
    directory's own ledger counts. `deaths` is a file, by default the directory's. `logs` are given
    if the system may still run: a reading that lies in them is not lost.

    Raises ConfigurationError if there is no ledger, ArchiveUnavailable if the archive does not
    answer.
    """
    died = deaths or data_dir / "deaths.jsonl"
    lines = died.read_bytes().splitlines(keepends=True) if died.exists() else []
    with TemporaryDirectory(prefix="eagle-logger-") as directory:
        path = _ledger_file(data_dir, ledger, Path(directory))
        if logs is None:
            return compare(lambda: _lines(path), archive, lines)
        return compare(
            lambda: _lines(path), archive, lines, on_disk=_lines_on_disk(logs), now=time.time()
        )


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
    waiting = _found_on_disk(on_disk, served)  # read before the archive, because lines move there
    found = _Found()
    missing: dict[str, set[Digest]] = dict(served)
    for cloud_id, keys in groupby(_our_keys(archive), key=lambda key: key[1]):
        was_served = served.get(cloud_id, set())
        here = found.add(archive, cloud_id, (key for key, _, _ in keys), was_served)
        missing[cloud_id] = was_served - here
    nowhere = {
        cloud_id: digests - waiting.get(cloud_id, _NONE) for cloud_id, digests in missing.items()
    }
    lost, fresh, unreturnable, examples = _excused(ledger, nowhere, deaths, now)
    return LedgerComparison(
        objects=found.objects,
        readings_served=sum(map(len, served.values())),
        readings_archived=found.readings,
        lost=lost,
        not_archived_yet=sum(map(len, missing.values())) - sum(map(len, nowhere.values())) + fresh,
        duplicated=found.duplicated,
        unreturnable=unreturnable,
        unexpected=found.unexpected,
        misfiled=found.misfiled,
        unreadable=found.unreadable,
        examples=examples + found.examples,
    )


def _lines(path: Path) -> Iterable[bytes]:
    with path.open("rb") as file:
        yield from file


def _lines_on_disk(folder: LogFolder) -> Iterator[tuple[str, bytes]]:
    """The lines of open and sealed log files, each with its user. A file that is gone has moved on:
    an open one was sealed, and sealed files are read after the open ones; a sealed one was
    archived."""
    for hour in folder.hours():
        for shard in folder.shards(hour):
            for files in (folder.open_files, folder.sealed_files):
                for file in files(hour, shard):
                    with suppress(FileNotFoundError):
                        yield from (
                            (file.cloud_id, text) for text in file.path.read_bytes().splitlines()
                        )


def _ledger_file(data_dir: Path, ledger: str | None, directory: Path) -> Path:
    if ledger is None:
        found = [data_dir / name for name in _LEDGERS if (data_dir / name).exists()]
        if not found:
            raise ConfigurationError(
                f"there is no {_LEDGERS[0]} in {data_dir}: name one with --ledger"
            )
        return found[0]
    if ledger.startswith(("http://", "https://")):
        return _fetched(ledger, directory / _LEDGERS[0])
    if not Path(ledger).is_file():
        raise ConfigurationError(f"--ledger {ledger}: there is no such file")
    return Path(ledger)


def _fetched(url: str, path: Path) -> Path:
    try:
        with httpx.stream("GET", url, timeout=30) as answer, path.open("wb") as file:
            answer.raise_for_status()
            for piece in answer.iter_bytes():
                file.write(piece)
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        raise ConfigurationError(f"--ledger {url}: {exc}") from None
    return path


class _Found:
    """What lies in the archive, gathered user by user."""

    def __init__(self) -> None:
        self.objects = self.readings = self.duplicated = self.unexpected = self.misfiled = 0
        self.unreadable: list[str] = []
        self.examples: list[str] = []

    def add(
        self, archive: Archive, cloud_id: str, keys: Iterable[str], served: set[Digest]
    ) -> set[Digest]:
        """Count what one user's objects hold; which readings they are."""
        lines: set[Digest] = set()
        here: set[Digest] = set()
        for key in keys:
            self.objects += 1
            for text, line in self._lines(archive, key):
                whole = _digest(line, sorted(set(line) - {"arrived", "raw", "flags"}))
                if whole in lines:
                    self.duplicated += 1
                    self._show("doubled", key, text)
                lines.add(whole)
                reading, undated = _digests(line)
                is_expected = (
                    reading in served
                    or reading in here
                    or (undated in served and _is_filed_by_arrival(line))
                )
                if not is_expected:
                    self.unexpected += 1
                    self._show("unexpected", key, text)
                here |= {reading, undated}
                if line["cloud_id"] != cloud_id or not _is_filed_right(line, key):
                    self.misfiled += 1
                    self._show("misfiled", key, text)
        self.readings += len(lines)
        return here

    def _lines(self, archive: Archive, key: str) -> Iterator[tuple[bytes, dict[str, Any]]]:
        try:
            texts = gunzipped(archive.get(key)).splitlines()
        except (ValueError, Unreadable, KeyError) as exc:
            self.unreadable.append(f"{key}: {exc}")
            return
        for text in texts:
            try:
                line = json.loads(text, parse_float=Decimal, parse_int=Decimal)
                _digest(line, _VALUES[line["kind"]])
            except (ValueError, ArithmeticError, TypeError, KeyError) as exc:
                self.unreadable.append(f"{key}: {exc!r}: {text[:80]!r}")
            else:
                yield text, line

    def _show(self, what: str, key: str, text: bytes) -> None:
        if len(self.examples) < MOST_EXAMPLES:
            self.examples.append(f"{what}: {key}: {text.decode(errors='replace')}")


def _our_keys(archive: Archive) -> Iterator[tuple[str, str, str]]:
    for key in archive.keys("cloud_id="):
        named = parse_archive_key(key)
        if named is not None:
            yield key, named[0], named[1].name


def _is_filed_right(line: Mapping[str, Any], key: str) -> bool:
    named = parse_archive_key(key)
    hour = named[1].name if named else ""
    return f"{line['time'][:10]}-{line['time'][11:13]}" == hour or _is_filed_by_arrival(line)


def _is_filed_by_arrival(line: Mapping[str, Any]) -> bool:
    return "filed_by_arrival" in line["flags"]


def _served(ledger: Ledger) -> dict[str, set[Digest]]:
    served: defaultdict[str, set[Digest]] = defaultdict(set)
    for row in _rows(ledger()):
        served[row["cloud_id"]].update(digest for digest, _ in _readings(row))
    return served


def _found_on_disk(
    lines: Iterable[tuple[str, bytes]], served: Mapping[str, set[Digest]]
) -> dict[str, set[Digest]]:
    """Which of the readings that were served are in these lines. A line that is still being written
    is left out."""
    found: defaultdict[str, set[Digest]] = defaultdict(set)
    for cloud_id, text in lines:
        if cloud_id in served:
            with suppress(ValueError, ArithmeticError, TypeError, KeyError):
                digests = _digests(json.loads(text, parse_float=Decimal, parse_int=Decimal))
                found[cloud_id].update(served[cloud_id].intersection(digests))
    return found


def _rows(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """The replies that a logging client received. A killed simulator leaves a last line without its
    end, which is left out."""
    for number, text in enumerate(lines, 1):
        try:
            row = json.loads(text)
        except ValueError:
            if not text.endswith(b"\n"):
                return
            raise Unreadable(f"line {number} of the ledger is not JSON") from None
        if not isinstance(row, dict) or "readings" not in row:
            raise Unreadable(f"line {number} of the ledger is no reply")
        if (
            row["readings"]
            and not row.get("client_closed")
            and f" {DRY_RUN}/" not in row.get("agent", "")
        ):
            yield row


def _readings(row: Mapping[str, Any]) -> Iterator[tuple[Digest, dict[str, Any]]]:
    for reading in row["readings"]:
        yield _digest(reading, _VALUES[reading["kind"]]), reading


def _excused(
    ledger: Ledger, missing: Mapping[str, set[Digest]], deaths: Iterable[bytes], now: float | None
) -> tuple[int, int, int, list[str]]:
    """How many of the missing readings are lost, how many a living process may still write, how
    many are unreturnable, and some of the lost in words."""
    if not any(missing.values()):
        return 0, 0, 0, []
    died = _deaths(deaths)
    lost: dict[tuple[str, Digest], str] = {}
    fresh: set[tuple[str, Digest]] = set()
    for row in _rows(ledger()):
        if missing.get(row["cloud_id"]) and not _died_with_it(row, died):
            is_fresh = now is not None and row["wall"] > now - UNSYNCED
            for digest, reading in _readings(row):
                if digest in missing[row["cloud_id"]]:
                    one = row["cloud_id"], digest
                    if is_fresh:
                        fresh.add(one)
                    else:
                        lost.setdefault(one, f"lost: {row['cloud_id']}: {json.dumps(reading)}")
    fresh -= lost.keys()
    unreturnable = sum(map(len, missing.values())) - len(lost) - len(fresh)
    return len(lost), len(fresh), unreturnable, list(lost.values())[:MOST_EXAMPLES]


def _deaths(lines: Iterable[bytes]) -> dict[str, list[float]]:
    """The times of deaths, by agent. A line that a power cut damaged proves no death, and is left
    out."""
    died: defaultdict[str, list[float]] = defaultdict(list)
    for text in lines:
        with suppress(ValueError, KeyError, TypeError):
            row = json.loads(text) if text.endswith(b"\n") else {}
            died[row["agent"]].append(float(row["wall"]))
    return died


def _died_with_it(row: Mapping[str, Any], died: Mapping[str, list[float]]) -> bool:
    """Whether the process that got this reply died before it could have fsynced its readings.

    A death may be recorded a little before the last replies to the process: what reaches a dead
    process's socket is read by nobody, and what died together with `up` is only known to have lived
    at the last sign of life.
    """
    return any(
        -_SIGN_OF_LIFE <= wall - row["wall"] <= UNSYNCED for wall in died.get(row["agent"], ())
    )


def _digest(reading: Mapping[str, Any], names: Iterable[str]) -> Digest:
    """The digest of a reading in a line, or of one that a gateway showed. One without a time is
    archived if any line of its stream has these values."""
    time = None if reading["time"] is None else _seconds(reading["time"])
    identity = (reading["device"], reading["meter"], reading["kind"], time)
    values = (f"{name}={_comparable(name, reading.get(name))}" for name in names if name != "time")
    return blake2b(
        "\0".join((*map(str, identity), *values)).encode(errors="replace"), digest_size=16
    ).digest()


def _digests(line: Mapping[str, Any]) -> tuple[Digest, Digest]:
    """The digest of the reading in a line, and of the same reading served without a time, if a
    reading of this kind may be."""
    names = _VALUES[line["kind"]]
    dated = _digest(line, names)
    if not KINDS[line["kind"]].holds_without_time:
        return dated, dated
    return dated, _digest({**line, "time": None}, names)


def _comparable(name: str, value: Any) -> str:
    if value is None or isinstance(value, bool):
        return str(value)
    return str(Decimal(value).normalize() + 0) if name in _NUMBERS else str(value)


def _seconds(time: Any) -> int:
    return _parsed(time) if isinstance(time, str) else int(time)


@lru_cache(maxsize=4096)
def _parsed(time: str) -> int:
    return int(datetime.fromisoformat(time).timestamp())
