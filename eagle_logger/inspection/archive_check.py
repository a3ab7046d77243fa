"""The promises checked in production: walk log files, receipts and archive, and tell what is
missing, doubled or unreadable."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby

from eagle_logger.archive.archive import Archive
from eagle_logger.core.hours import Hour
from eagle_logger.core.line_parser import Identity, LogLine, read_lines, values_by_identity
from eagle_logger.core.paths import archive_key, parse_archive_key
from eagle_logger.core.readings import Flag
from eagle_logger.core.sealing import OBJECT_DIGEST, PLAIN_DIGEST, gunzipped
from eagle_logger.errors import ArchiveUnavailable, Unreadable
from eagle_logger.logs.folder import BadLine, LogFile, LogFolder, SealedFile

BEGINNING = Hour(0)

_UserHour = tuple[str, Hour]
_FILED_BY_ARRIVAL = f'"{Flag.FILED_BY_ARRIVAL}"'.encode()


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """Something that is not as promised. `what` is one of missing, doubled, unreadable, damaged,
    misfiled."""

    what: str
    where: str
    detail: str

    def __str__(self) -> str:
        return f"{self.what}: {self.where}: {self.detail}"


@dataclass(slots=True)
class ArchiveCheck:
    """What was looked at, and what was found wrong. A lasting finding may be long known: objects
    are never rewritten."""

    objects: int = 0
    readings: int = 0
    log_files: int = 0
    receipts: int = 0
    waiting: int = 0
    """Log files, open or sealed, that are not archived yet."""
    quarantined: int = 0
    """Files kept aside, each with the reason beside it."""
    findings: list[AuditFinding] = field(default_factory=list)


def audit(
    folder: LogFolder,
    archive: Archive,
    *,
    since: Hour = BEGINNING,
    seen: Callable[[str], None] = lambda _: None,
) -> ArchiveCheck:
    """Check everything of the hours from `since` on; `seen` is told each key. Changes nothing.
    Raises ArchiveUnavailable.

    Safe beside a running system: what is written meanwhile is looked at or not.
    """
    found = ArchiveCheck()
    proven = _local(folder, found, since)
    for user_hour, keys in groupby(_parts(archive, since), key=lambda key: key[1]):
        held: dict[Identity, set[bytes]] = {}
        numbers, refused = [], False
        for key, _, number in keys:
            seen(key)
            numbers.append(number)
            try:
                _object(archive, key, user_hour, held, found)
            except ArchiveUnavailable as exc:
                archive.ping()  # raises if the whole archive is away, not just this object
                found.findings.append(AuditFinding("unreadable", key, str(exc)))
                refused = True
        _gaps(user_hour, numbers, found)
        files = proven.pop(user_hour, [])
        if not refused:
            _compare(files, held, found)
    for files in proven.values():
        _compare(files, {}, found)
    return found


def _local(
    folder: LogFolder, found: ArchiveCheck, since: Hour
) -> dict[_UserHour, list[SealedFile]]:
    """Count what lies on this disk; the sealed files that a receipt says are archived."""
    proven: defaultdict[_UserHour, list[SealedFile]] = defaultdict(list)
    found.quarantined = sum(1 for _ in (folder.root / "quarantine").glob("*.reason"))
    hours = [hour for hour in folder.hours() if hour >= since]
    for at, shard in [(hour, shard) for hour in hours for shard in folder.shards(hour)]:
        for path in folder.strays(at, shard):
            found.findings.append(
                AuditFinding(
                    "unreadable", str(path), "not a log file's name: nobody will archive it"
                )
            )
        for opened_file in folder.open_files(at, shard):
            found.log_files += 1
            found.waiting += 1
            _lines(folder, opened_file, found)
        for sealed in folder.sealed_files(at, shard):
            found.log_files += 1
            found.receipts += sealed.receipt is not None
            found.waiting += sealed.receipt is None
            if sealed.receipt is not None:
                proven[sealed.cloud_id, at].append(sealed)
                continue
            _lines(folder, sealed, found)
            if sealed.receipt_path.exists():
                found.findings.append(
                    AuditFinding(
                        "unreadable",
                        str(sealed.receipt_path),
                        "rotation will make this receipt anew",
                    )
                )
    return proven


def _lines(folder: LogFolder, file: LogFile | SealedFile, found: ArchiveCheck) -> None:
    """What of a file that is not archived yet will be kept aside instead."""
    with suppress(FileNotFoundError):  # sealed, or archived and deleted, a moment ago
        for bad in folder.each(file):
            if isinstance(bad, BadLine):
                found.findings.append(
                    AuditFinding(
                        "unreadable",
                        f"{file.path}:{bad.number}",
                        f"{bad.reason}: {bad.content[:80]!r}",
                    )
                )


def _parts(archive: Archive, since: Hour) -> Iterator[tuple[str, _UserHour, int]]:
    for key in archive.keys("cloud_id="):
        named = parse_archive_key(key)
        if named is not None and named[1] >= since:
            yield key, (named[0], named[1]), named[2]


def _object(
    archive: Archive,
    key: str,
    user_hour: _UserHour,
    held: dict[Identity, set[bytes]],
    found: ArchiveCheck,
) -> None:
    """Look into one object, and add what it holds to `held`."""
    found.objects += 1
    try:
        body = archive.get(key)
        plain = gunzipped(body)
    except KeyError:
        if key in archive.keys(key):  # otherwise it was deleted after it was listed
            found.findings.append(
                AuditFinding(
                    "missing", key, "the archive lists it, and says that there is no such object"
                )
            )
        return
    except (Unreadable, ValueError) as exc:
        found.findings.append(AuditFinding("unreadable", key, str(exc)))
        return
    _digests(archive, key, body, plain, found)
    entries, unreadable = read_lines(plain, user_hour[0])
    found.readings += len(entries)
    found.findings += [
        AuditFinding("unreadable", key, f"{reason}: {text[:80]!r}") for text, reason in unreadable
    ]
    for entry in entries:
        values = held.setdefault(entry.identity, set())
        if entry.values in values:
            found.findings.append(AuditFinding("doubled", key, _words(entry)))
        values.add(entry.values)
        if Hour.parse(f"{entry.time[:10].decode()}-{entry.time[11:13].decode()}") != user_hour[
            1
        ] and not _is_excused(entry):
            found.findings.append(AuditFinding("misfiled", key, _words(entry)))


def _digests(archive: Archive, key: str, body: bytes, plain: bytes, found: ArchiveCheck) -> None:
    info = archive.head(key)
    claims = info.metadata if info else {}
    for name, content in ((OBJECT_DIGEST, body), (PLAIN_DIGEST, plain)):
        if claims.get(name) != hashlib.sha256(content).hexdigest():
            found.findings.append(
                AuditFinding("damaged", key, f"{name} in its metadata is not that of its content")
            )


def _gaps(user_hour: _UserHour, numbers: list[int], found: ArchiveCheck) -> None:
    for number in range(max(numbers)):
        if number not in numbers:
            found.findings.append(
                AuditFinding("missing", archive_key(*user_hour, number), "a later part is there")
            )


def _compare(
    files: list[SealedFile], held: dict[Identity, set[bytes]], found: ArchiveCheck
) -> None:
    """Whether everything that receipts speak for is really there."""
    for file in files:
        try:
            entries, _ = read_lines(file.path.read_bytes(), file.cloud_id)
        except FileNotFoundError:
            continue
        absent = sum(
            len(values - held.get(identity, set()))
            for identity, values in values_by_identity(entries).items()
        )
        if absent:
            detail = f"{absent} of its readings are not in the archive, though its receipt says so"
            found.findings.append(AuditFinding("missing", str(file.path), detail))


def _is_excused(entry: LogLine) -> bool:
    return _FILED_BY_ARRIVAL in entry.text


def _words(entry: LogLine) -> str:
    return b" ".join((entry.time, entry.kind, entry.device, entry.meter, entry.values)).decode(
        errors="replace"
    )
