"""What `eagle-logger check` and `eagle-logger verify` find in the archive's index."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from eagle_logger.archive.archive import Archive
from eagle_logger.archive.directory import DirectoryArchive
from eagle_logger.archive.index_reading import index_of
from eagle_logger.core.archive_index import EncodedIndexPart, IndexEntry, IndexHead, IndexPart
from eagle_logger.core.hours import Hour
from eagle_logger.core.paths import IndexKey, archive_key
from eagle_logger.inspection import index_check
from eagle_logger.inspection.archive_check import ArchiveCheck, audit
from eagle_logger.inspection.ledger_comparison import LedgerComparison, compare
from tests.support.log_lines import HOUR, demand, demands
from tests.support.rotating import NOW, Disk

OTHER = "ba9876543210"
USERS = [f"{number:06x}" for number in range(4)]
LATER = NOW + 86400.0


@pytest.fixture
def disk(tmp_path: Path, archive: DirectoryArchive) -> Disk:
    """A node that has archived and indexed an hour of a few homes, and has no log files left."""
    disk = Disk(tmp_path / "logs")
    disk.folder.root.mkdir()
    disk.index(archive, HOUR.start)
    for user in USERS:
        disk.append(demand(1, 1, cloud_id=user) + demand(2, 1, cloud_id=user), user)
    disk.rotate(archive)
    disk.rotate(archive, LATER)
    assert disk.folder.hours() == []
    return disk


@pytest.fixture
def archive(tmp_path: Path) -> DirectoryArchive:
    return DirectoryArchive(tmp_path / "archive")


def index_path(disk: Disk, tmp_path: Path) -> Path:
    return tmp_path / "archive" / IndexKey(HOUR, disk.folder.node(), 0).key


def findings(disk: Disk, archive: Archive) -> list[str]:
    return [str(finding) for finding in audit(disk.folder, archive, now=LATER).findings]


def verdict(archive: Archive) -> LedgerComparison:
    return compare(lambda: iter(()), archive)


def put_index(
    archive: Archive, *entries: IndexEntry, node: str = OTHER, hour: Hour = HOUR
) -> IndexKey:
    name = IndexKey(hour, node, 0)
    encoded = EncodedIndexPart.of(IndexPart(IndexHead(name, len(entries), 0, True), entries))
    archive.put(name.key, encoded.body, encoded.metadata)
    return name


def entry_of(archive: Archive, user: str = USERS[0]) -> IndexEntry:
    info = archive.head(archive_key(user, HOUR))
    assert info is not None
    return IndexEntry.from_metadata(archive_key(user, HOUR), info.size, info.metadata)


def test_a_sound_index_gives_no_finding(disk: Disk, archive: DirectoryArchive) -> None:
    check = audit(disk.folder, archive, now=LATER)
    assert check == ArchiveCheck(objects=4, readings=8, index_objects=check.index_objects)
    assert (verdict(archive).not_indexed, verdict(archive).index_wrong) == (0, [])


def test_an_archive_from_before_the_index_gives_no_finding(
    disk: Disk, archive: DirectoryArchive, tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "archive" / "_index")
    check = audit(disk.folder, archive, now=LATER)
    assert check == ArchiveCheck(objects=4, readings=8, not_indexed=4)
    assert (verdict(archive).not_indexed, verdict(archive).index_wrong) == (0, [])


def test_an_object_that_two_nodes_name_alike_is_no_finding(
    disk: Disk, archive: DirectoryArchive
) -> None:
    put_index(archive, entry_of(archive))
    assert findings(disk, archive) == []
    assert verdict(archive).index_wrong == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda entry: replace(entry, rows=3), "rows 3 instead of 2"),
        (lambda entry: replace(entry, size=entry.size + 1), "size"),
        (lambda entry: replace(entry, first=HOUR.start), "first"),
        (lambda entry: replace(entry, last=HOUR.end), "last"),
        (lambda entry: replace(entry, plain_sha256="0" * 64), "plain_sha256"),
        (lambda entry: replace(entry, object_sha256="0" * 64), "object_sha256"),
    ],
)
def test_an_index_that_lies_is_found(
    disk: Disk,
    archive: DirectoryArchive,
    change: Callable[[IndexEntry], IndexEntry],
    words: str,
) -> None:
    name = put_index(archive, change(entry_of(archive)))
    [finding] = findings(disk, archive)
    assert finding.startswith(f"damaged: {name.key}: it says of {archive_key(USERS[0], HOUR)}")
    assert words in finding
    if words.split(maxsplit=1)[0] in {"rows", "size", "object_sha256"}:
        [wrong] = verdict(archive).index_wrong
        assert archive_key(USERS[0], HOUR) in wrong
        assert not verdict(archive).is_well


def test_an_index_that_names_what_is_not_there_is_found(
    disk: Disk, archive: DirectoryArchive
) -> None:
    absent = replace(entry_of(archive), key=archive_key("ffffff", HOUR))
    name = put_index(archive, absent)
    assert findings(disk, archive) == [f"missing: {absent.key}: {name.key} names it"]
    [wrong] = verdict(archive).index_wrong
    assert wrong.startswith(absent.key)


def test_an_object_that_the_index_misses_is_found(disk: Disk, archive: DirectoryArchive) -> None:
    elsewhere = DirectoryArchive(archive._root.with_name("elsewhere"))
    volume = Disk(archive._root.with_name("other"))
    volume.append(demand(1, 1, cloud_id="ffffff"), "ffffff")
    volume.rotate(elsewhere)
    key = archive_key("ffffff", HOUR)
    info = elsewhere.head(key)
    assert info is not None
    archive.put(key, elsewhere.get(key), info.metadata)
    [finding] = findings(disk, archive)
    assert finding.startswith(f"not indexed: {key}: the index of its hour does not name it")
    assert verdict(archive).not_indexed == 1
    assert audit(disk.folder, archive, now=NOW).findings == []  # a node may be about to index it


def test_what_waits_to_be_indexed_on_this_disk_is_no_finding(
    disk: Disk, archive: DirectoryArchive
) -> None:
    disk.append(demand(7, 1, cloud_id="ffffff"), "ffffff")
    disk.rotate(archive, LATER, at_once=None, include_open=True)
    check = audit(disk.folder, archive, now=LATER)
    assert (check.findings, check.objects, check.not_indexed) == ([], 5, 0)


@pytest.mark.parametrize("damage", [b"rubbish", b""])
def test_a_damaged_index_object_is_found(
    disk: Disk, archive: DirectoryArchive, tmp_path: Path, damage: bytes
) -> None:
    path = index_path(disk, tmp_path)
    path.write_bytes(damage)
    first, *others = findings(disk, archive)
    assert first.startswith(f"unreadable: {IndexKey(HOUR, disk.folder.node(), 0).key}")
    assert others == []  # no other index object says that the hour is complete
    assert len(verdict(archive).index_wrong) == 1


def test_an_index_object_that_was_changed_is_damaged(
    disk: Disk, archive: DirectoryArchive, tmp_path: Path
) -> None:
    [part] = index_of(archive, HOUR).parts
    shorter = IndexPart(replace(part.head, entries=3), part.entries[:3])
    index_path(disk, tmp_path).write_bytes(EncodedIndexPart.of(shorter).body)
    assert [finding.split(":")[0] for finding in findings(disk, archive)] == [
        "damaged",
        "not indexed",
    ]


def test_a_stray_beside_the_index_is_found(disk: Disk, archive: DirectoryArchive) -> None:
    archive.put("_index/date=2026-03-10/notes.txt", b"notes", {})
    assert findings(disk, archive) == [
        "unreadable: _index/date=2026-03-10/notes.txt: not the name of an index object"
    ]


def test_an_object_that_is_damaged_is_reported_once(
    disk: Disk, archive: DirectoryArchive, tmp_path: Path
) -> None:
    (tmp_path / "archive" / archive_key(USERS[0], HOUR)).write_bytes(b"rubbish")
    [finding] = findings(disk, archive)
    assert finding.startswith(f"unreadable: {archive_key(USERS[0], HOUR)}")


def test_many_hours_that_differ_are_compared_a_few_at_a_time(
    disk: Disk, archive: DirectoryArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_check, "_HOURS_AT_ONCE", 2)
    hours = [Hour(HOUR.start - back * 3600) for back in range(1, 6)]
    for hour in hours:
        absent = replace(entry_of(archive), key=archive_key("ffffff", hour))
        put_index(archive, absent, hour=hour)
    assert len(findings(disk, archive)) == len(hours)
    since = audit(disk.folder, archive, since=hours[1], now=LATER)
    assert len(since.findings) == 2


def test_demands_of_one_home_are_indexed_part_by_part(
    tmp_path: Path, archive: DirectoryArchive
) -> None:
    disk = Disk(tmp_path / "logs")
    for offset in range(3):
        disk.append(demands([offset]))
        disk.rotate(archive, include_open=True)
    assert audit(disk.folder, archive, now=LATER).findings == []
