"""A log volume, and the checks of the archive after its rotation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eagle_logger.archive.archive import Archive
from eagle_logger.archive.trusted import TrustedArchive
from eagle_logger.core.hours import Hour
from eagle_logger.core.line_parser import LogLine, read_lines
from eagle_logger.core.paths import parse_archive_key
from eagle_logger.core.sealing import gunzipped
from eagle_logger.logs.folder import LogFolder
from eagle_logger.rotation.hours_to_rotate import hours_to_rotate
from eagle_logger.rotation.index_hours import IndexResult, index_hours
from eagle_logger.rotation.rotate_shard import rotate_shard
from eagle_logger.rotation.rotation_result import RotationResult
from eagle_logger.rotation.rotation_rules import RotationRules
from tests.support.log_lines import CLOUD_ID, HOUR

GRACE = 600.0
RETENTION = 86400.0
SHARD = "07"
NOW = HOUR.end + GRACE
_RULES = ("grace", "retention", "include_open", "heed_pauses")


class OnTrust(TrustedArchive):
    """An archive that proves nothing first, for tests that count the calls of it."""

    def prove(self) -> None:
        """Do nothing."""


class Disk:
    """A log volume with one shard, whose files a test writes itself."""

    def __init__(self, root: Path) -> None:
        self.folder = LogFolder(root)

    def path(self, cloud_id: str = CLOUD_ID, hour: Hour = HOUR) -> Path:
        return self.folder.root / hour.name / SHARD / f"rainforest-{cloud_id}-{hour}.jsonl"

    def append(self, lines: bytes, cloud_id: str = CLOUD_ID, hour: Hour = HOUR) -> None:
        path = self.path(cloud_id, hour)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(lines)

    def rotate(
        self, archive: Archive, now: float = NOW, *, at_once: bool | None = True, **options: Any
    ) -> RotationResult:
        """Rotate everything that is planned, and index it, as the command does; with `at_once`
        None, do not index it. Only a TrustedArchive must give its proof first."""
        if not isinstance(archive, TrustedArchive):
            archive = OnTrust(archive)
        chosen = {name: options.pop(name) for name in _RULES if name in options}
        rules = self.rules(now, **chosen)
        results = (
            rotate_shard(rules, archive, hour, shard, **options)
            for hour, shard in hours_to_rotate(rules)
        )
        total = sum(results, RotationResult())
        if at_once is not None:
            index_hours(rules, archive, at_once=at_once)
        return total

    def index(self, archive: Archive, now: float = NOW, **options: Any) -> IndexResult:
        """Index what is archived, as a rotating worker does."""
        archive = archive if isinstance(archive, TrustedArchive) else OnTrust(archive)
        return index_hours(self.rules(now), archive, **options)

    def plan(self, now: float = NOW, **chosen: bool) -> list[tuple[Hour, str]]:
        return hours_to_rotate(self.rules(now, **chosen))

    def rules(self, now: float = NOW, **chosen: Any) -> RotationRules:
        return RotationRules(self.folder, now, **{"grace": GRACE, "retention": RETENTION, **chosen})

    def unarchived(self) -> int:
        return sum(self.folder.unarchived(hour) for hour in self.folder.hours())

    def quarantined(self) -> dict[str, bytes]:
        folder = self.folder.root / "quarantine"
        return (
            {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
            if folder.exists()
            else {}
        )


def entries_in(archive: Archive) -> dict[str, list[LogLine]]:
    """The entries of every object that can be gunzipped, by key."""
    entries = {}
    for key in archive.keys("cloud_id="):
        named = parse_archive_key(key)
        assert named is not None
        try:
            plain = gunzipped(archive.get(key))
        except ValueError:
            continue
        entries[key], unreadable = read_lines(plain, named[0])
        assert not unreadable
    return entries


def times(archive: Archive) -> list[int]:
    """The seconds into the hour of every archived line's reading, sorted, with repetitions."""
    entries = (entry for one in entries_in(archive).values() for entry in one)
    return sorted(int(entry.time[14:16]) * 60 + int(entry.time[17:19]) for entry in entries)


def assert_exactly_once(archive: Archive, lines: bytes, cloud_id: str = CLOUD_ID) -> None:
    """Assert that the archive holds the readings of these lines, each once, and no others of this
    user."""
    wanted, _ = read_lines(lines, cloud_id)
    keys = entries_in(archive)
    archived = Counter(
        (entry.identity, entry.values)
        for key, one in keys.items()
        if f"={cloud_id}/" in key
        for entry in one
    )
    assert set(archived) == {(entry.identity, entry.values) for entry in wanted}
    assert not [entry for entry, count in archived.items() if count > 1]


class Watched:
    """An archive that calls `before` with the name and key of each call ahead of it, and `after`
    once it succeeded."""

    def __init__(
        self,
        archive: Archive,
        before: Callable[[str, str], None] = lambda _what, _key: None,
        after: Callable[[str, str], None] = lambda _what, _key: None,
    ) -> None:
        self._archive = archive
        self._before = before
        self._after = after
        self.url = archive.url

    def put(self, key: str, body: bytes, metadata: Any) -> None:
        self._before("put", key)
        self._archive.put(key, body, metadata)
        self._after("put", key)

    def head(self, key: str) -> Any:
        self._before("head", key)
        head = self._archive.head(key)
        self._after("head", key)
        return head

    def get(self, key: str) -> bytes:
        self._before("get", key)
        return self._archive.get(key)

    def put_file(self, key: str, path: Path, metadata: Any) -> None:
        self._before("put", key)
        self._archive.put_file(key, path, metadata)
        self._after("put", key)

    def get_file(self, key: str, path: Path, largest: int) -> None:
        self._before("get", key)
        self._archive.get_file(key, path, largest)

    def delete(self, key: str) -> None:
        self._before("delete", key)
        self._archive.delete(key)
        self._after("delete", key)

    def keys(self, prefix: str = "") -> Any:
        return self._archive.keys(prefix)

    def ping(self) -> None:
        self._archive.ping()

    def prove(self) -> None:
        self._before("prove", "")
        self._archive.prove()
