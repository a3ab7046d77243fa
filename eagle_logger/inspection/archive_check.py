"""`eagle-logger check`: reads log files, receipts and archive, and finds what is missing, doubled,
unreadable, damaged, misfiled or not indexed.

It compares each object with the digests in its metadata, the parts of a user's hour with each
other, each line's time with the hour of its object, and each log file that has a receipt with what
the archive holds. `index_check` compares the objects with the archive's index.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

from eagle_logger.archive.archive import Archive
from eagle_logger.core.archive_index import IndexEntry
from eagle_logger.core.hours import Hour
from eagle_logger.core.line_parser import LineIdentity, LogLine, read_lines, values_by_identity
from eagle_logger.core.paths import archive_key, parse_archive_key
from eagle_logger.core.readings import Flag
from eagle_logger.core.sealing import OBJECT_DIGEST, PLAIN_DIGEST, gunzipped
from eagle_logger.errors import ArchiveUnavailable, Unreadable
from eagle_logger.inspection.index_check import IndexCheck
from eagle_logger.logs.folder import BadLine, LogFile, LogFolder, SealedFile

BEGINNING = Hour(0)

_UserHour = tuple[str, Hour]
_Held = dict[LineIdentity, set[bytes]]
"""The values of the readings that the parts of a user's hour hold, by identity."""
_FILED_BY_ARRIVAL = f'"{Flag.FILED_BY_ARRIVAL}"'.encode()
_BROKEN = frozenset({"unreadable", "damaged", "missing"})
_BYTES_SHOWN = 80


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """Something that is not as promised. `what` is one of missing, doubled, unreadable, damaged,
    misfiled, not indexed."""

    what: str
    where: str
    detail: str

    def __str__(self) -> str:
        return f"{self.what}: {self.where}: {self.detail}"


@dataclass(slots=True)
class ArchiveCheck:
    """How much was read, and what was found. A finding in an object comes back in every check:
    objects are never rewritten."""

    objects: int = 0
    readings: int = 0
    log_files: int = 0
    receipts: int = 0
    waiting: int = 0
    """Log files, open or sealed, that are not archived yet."""
    quarantined: int = 0
    """Files kept aside, each with the reason beside it."""
    index_objects: int = 0
    not_indexed: int = 0
    """Objects that no index object names. That is a finding only in hours of which some index
    object says that it is complete: older ones may be from before there was an index."""
    findings: list[AuditFinding] = field(default_factory=list)

    def add(self, what: str, where: object, detail: str) -> None:
        self.findings.append(AuditFinding(what, str(where), detail))


def audit(
    folder: LogFolder,
    archive: Archive,
    *,
    since: Hour = BEGINNING,
    now: float | None = None,
    on_object: Callable[[str], None] = lambda _: None,
) -> ArchiveCheck:
    """Check everything of the hours from `since` on; `on_object` is called with the key of each
    object. Changes nothing. Raises ArchiveUnavailable. Give `now` if the system may run: hours that
    have just ended may not be indexed yet.

    Safe beside a running system: what is written meanwhile may be read or not.
    """
    check = ArchiveCheck()
    archived_files = _check_log_files(folder, since, check)
    on_this_disk = _keys_of_receipts(archived_files)
    index = IndexCheck(archive, since, check.add)
    index.read_index()
    for user_hour, parts in groupby(_parts(archive, since), key=lambda part: part[1]):
        held: _Held = {}
        numbers, is_complete = list[int](), True
        for key, _, number in parts:
            on_object(key)
            numbers.append(number)
            try:
                entry = _check_object(archive, key, user_hour, held, check)
                if entry is not None:
                    index.add_object(user_hour[1], entry)
            except ArchiveUnavailable as exc:
                archive.ping()  # raises if the whole archive is away, not just this object
                check.add("unreadable", key, str(exc))
                is_complete = False
        _check_part_numbers(user_hour, numbers, check)
        files = archived_files.pop(user_hour, [])
        if is_complete:
            _check_receipts(files, held, check)
    for files in archived_files.values():
        _check_receipts(files, {}, check)
    reported = {finding.where for finding in check.findings if finding.what in _BROKEN}
    index.compare(reported, on_this_disk, now)
    check.index_objects, check.not_indexed = index.index_objects, index.not_indexed
    return check


def _check_log_files(
    folder: LogFolder, since: Hour, check: ArchiveCheck
) -> dict[_UserHour, list[SealedFile]]:
    """Check the files on this disk. Returns those that are archived according to a receipt."""
    archived: defaultdict[_UserHour, list[SealedFile]] = defaultdict(list)
    check.quarantined = sum(1 for _ in (folder.root / "quarantine").glob("*.reason"))
    for hour, shard in _shards(folder, since):
        for path in folder.strays(hour, shard):
            check.add("unreadable", path, "not a log file's name: nobody will archive it")
        for open_file in folder.open_files(hour, shard):
            check.log_files += 1
            check.waiting += 1
            _check_lines(folder, open_file, check)
        for sealed_file in folder.sealed_files(hour, shard):
            check.log_files += 1
            if sealed_file.receipt is not None:
                check.receipts += 1
                archived[sealed_file.cloud_id, hour].append(sealed_file)
                continue
            check.waiting += 1
            _check_lines(folder, sealed_file, check)
            if sealed_file.receipt_path.exists():
                check.add(
                    "unreadable", sealed_file.receipt_path, "rotation will make this receipt anew"
                )
    return archived


def _keys_of_receipts(archived: Mapping[_UserHour, list[SealedFile]]) -> set[str]:
    receipts = (file.receipt for files in archived.values() for file in files)
    return {key for receipt in receipts if receipt is not None for key in receipt.keys}


def _shards(folder: LogFolder, since: Hour) -> Iterator[tuple[Hour, str]]:
    for hour in folder.hours():
        if hour >= since:
            yield from ((hour, shard) for shard in folder.shards(hour))


def _check_lines(folder: LogFolder, file: LogFile | SealedFile, check: ArchiveCheck) -> None:
    """Find the lines of a file that rotation will keep aside instead of archiving them."""
    with suppress(FileNotFoundError):  # sealed, or archived and deleted, a moment ago
        for line in folder.each_line(file):
            if isinstance(line, BadLine):
                detail = f"{line.reason}: {line.content[:_BYTES_SHOWN]!r}"
                check.add("unreadable", f"{file.path}:{line.number}", detail)


def _parts(archive: Archive, since: Hour) -> Iterator[tuple[str, _UserHour, int]]:
    """The key of each part in the archive, its user and hour, and its number."""
    for key in archive.keys("cloud_id="):
        named = parse_archive_key(key)
        if named is not None and named[1] >= since:
            cloud_id, hour, number = named
            yield key, (cloud_id, hour), number


def _check_object(
    archive: Archive, key: str, user_hour: _UserHour, held: _Held, check: ArchiveCheck
) -> IndexEntry | None:
    """Check one object, and add its readings to `held`. Returns what the index should say of it;
    None if it is not whole."""
    check.objects += 1
    try:
        body = archive.get(key)
        plain = gunzipped(body)
    except KeyError:
        if key in archive.keys(key):  # otherwise it was deleted after it was listed
            check.add("missing", key, "the archive lists it, and says that there is no such object")
        return None
    except (Unreadable, ValueError) as exc:
        check.add("unreadable", key, str(exc))
        return None
    is_sound = _check_digests(archive, key, body, plain, check)
    cloud_id, hour = user_hour
    lines, unreadable = read_lines(plain, cloud_id)
    check.readings += len(lines)
    for piece, reason in unreadable:
        check.add("unreadable", key, f"{reason}: {piece[:_BYTES_SHOWN]!r}")
    for line in lines:
        values = held.setdefault(line.identity, set())
        if line.values in values:
            check.add("doubled", key, _in_words(line))
        values.add(line.values)
        if _hour_of(line) != hour and _FILED_BY_ARRIVAL not in line.text:
            check.add("misfiled", key, _in_words(line))
    if unreadable or not is_sound:
        return None
    times = [line.time for line in lines]
    return IndexEntry(
        key=key,
        rows=len(lines),
        first=_unix(min(times)) if times else 0,
        last=_unix(max(times)) if times else 0,
        size=len(body),
        plain_sha256=hashlib.sha256(plain).hexdigest(),
        object_sha256=hashlib.sha256(body).hexdigest(),
    )


def _check_digests(
    archive: Archive, key: str, body: bytes, plain: bytes, check: ArchiveCheck
) -> bool:
    """Whether the object is what its metadata says."""
    is_sound = True
    info = archive.head(key)
    metadata = info.metadata if info else {}
    for name, content in ((OBJECT_DIGEST, body), (PLAIN_DIGEST, plain)):
        if metadata.get(name) != hashlib.sha256(content).hexdigest():
            check.add("damaged", key, f"{name} in its metadata is not that of its content")
            is_sound = False
    return is_sound


def _check_part_numbers(user_hour: _UserHour, numbers: list[int], check: ArchiveCheck) -> None:
    for number in sorted(set(range(max(numbers))).difference(numbers)):
        check.add("missing", archive_key(*user_hour, number), "a later part is there")


def _check_receipts(files: list[SealedFile], held: _Held, check: ArchiveCheck) -> None:
    """Check that the archive holds every reading of the files that have receipts."""
    for file in files:
        try:
            lines, _ = read_lines(file.path.read_bytes(), file.cloud_id)
        except FileNotFoundError:
            continue
        absent = sum(
            len(values - held.get(identity, set()))
            for identity, values in values_by_identity(lines).items()
        )
        if absent:
            detail = f"{absent} of its readings are not in the archive, though its receipt says so"
            check.add("missing", file.path, detail)


def _hour_of(line: LogLine) -> Hour:
    time = line.time.decode()
    return Hour.parse(f"{time[:10]}-{time[11:13]}")


def _unix(time: bytes) -> int:
    return int(datetime.fromisoformat(time.decode()).timestamp())


def _in_words(line: LogLine) -> str:
    words = (line.time, line.kind, line.device, line.meter, line.values)
    return b" ".join(words).decode(errors="replace")
