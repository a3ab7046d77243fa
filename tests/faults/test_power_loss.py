"""Fault 2: the power fails at any step of logging and rotating, and the disk forgets what was not
synced."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from eagle_logger.archive.directory import DirectoryArchive
from eagle_logger.core.hours import Hour
from eagle_logger.core.line_parser import LineIdentity, LogLine, read_lines
from eagle_logger.logs.folder import LogFolder
from eagle_logger.logs.writer import LogWriter
from eagle_logger.rotation.hours_to_rotate import hours_to_rotate
from eagle_logger.rotation.index_hours import index_hours
from eagle_logger.rotation.rotate_shard import rotate_shard
from eagle_logger.rotation.rotation_rules import RotationRules
from tests.faults.conftest import EVERYTHING
from tests.faults.fault_table import NoteRow, unharmed
from tests.faults.forgetful_disk import Forgetting, Image, Left, lay_out
from tests.support.log_files import line
from tests.support.log_lines import HOUR
from tests.support.rotating import GRACE, assert_exactly_once, entries_in

USERS = [f"{number:06x}" for number in range(5)]
NEXT = Hour(HOUR.end)
EXAMINED_SHARE = 0.25
"""The share of moments that `make test` examines, each with one of the four possible disks."""
LATER = HOUR.end + GRACE
RETENTION = 3600.0
"""Short, so that few hours without readings are indexed, each of whose steps is examined."""

Readings = set[tuple[str, LineIdentity, bytes]]
"""User, identity and values of each."""
Batch = dict[tuple[str, Hour], list[bytes]]


def batch(number: int, users: list[str], hour: Hour = HOUR) -> Batch:
    return {
        (user, hour): [line(number, user, hour), line(number + 1, user, hour)] for user in users
    }


BATCHES = [
    batch(1, USERS[:1]),
    batch(3, USERS),
    batch(5, USERS[:2]),  # after it comes a rotation
    batch(7, USERS[1:], NEXT),
    batch(2, USERS[:4]),  # late, and partly logged before: a further part
]


@dataclass
class Disk:
    """A machine's log volume, and beside it an archive in a directory."""

    root: Path

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def archive(self) -> DirectoryArchive:
        return DirectoryArchive(self.root / "archive")

    def append(self, batches: list[Batch], acknowledge: Callable[[], None] = lambda: None) -> None:
        writer = LogWriter(self.logs, shards=2, max_open=64, min_free_disk=0)
        for one in batches:
            writer.append(one)
            acknowledge()
        writer.close()

    def rotate(self, now: float) -> None:
        folder = LogFolder(self.logs)
        rules = RotationRules(folder, now, GRACE, RETENTION, include_open=True)
        for hour, shard in hours_to_rotate(rules):
            rotated = rotate_shard(rules, self.archive, hour, shard)
            assert not rotated.errors
        assert not index_hours(rules, self.archive, at_once=True).errors

    def log_and_rotate(self, acknowledge: Callable[[], None]) -> None:
        """Log and rotate everything, until the archive holds it and the disk is empty again."""
        self.append(BATCHES[:3], acknowledge)
        self.rotate(LATER)
        self.append(BATCHES[3:], acknowledge)
        self.rotate(LATER)
        self.rotate(LATER + RETENTION)

    def readings(self) -> Readings:
        """All readings in its files and in its archive."""
        readings = {
            (key[9:15], *reading)
            for key, lines in entries_in(self.archive).items()
            for reading in _readings(lines)
        }
        for path in self.logs.glob("*/*/rainforest-*.jsonl"):
            user = path.name[11:17]
            readings |= _readings_of(user, path.read_bytes())
        return readings


def _readings(lines: Iterable[LogLine]) -> set[tuple[LineIdentity, bytes]]:
    return {(line.identity, line.values) for line in lines}


def _readings_of(user: str, content: bytes) -> Readings:
    return {(user, *reading) for reading in _readings(read_lines(content, user)[0])}


def acknowledged(batches: int) -> Readings:
    """The readings of the first batches."""
    return {
        reading
        for one in BATCHES[:batches]
        for (user, _), lines in one.items()
        for reading in _readings_of(user, b"".join(lines))
    }


@pytest.fixture
def memory() -> Iterator[Path]:
    folder = Path("/dev/shm")
    if not os.access(folder, os.W_OK):
        pytest.skip("needs a tmpfs: inode numbers must not be used again")
    with tempfile.TemporaryDirectory(dir=folder) as name:
        yield Path(name)


def record(
    root: Path, wanted: Callable[[], Iterable[Left]], deaf: Callable[[str], bool] = lambda _: False
) -> Forgetting:
    """What would be left at each moment of `Disk.log_and_rotate`."""
    root.mkdir()
    recorded = Forgetting(root, wanted, deaf)
    with recorded.watching():
        Disk(root).log_and_rotate(recorded.mark)
    return recorded


class LostError(AssertionError):
    """An acknowledged reading is gone."""


def examine(memory: Path, image: Image, marks: int) -> None:
    """Check that this disk holds what was acknowledged, and that a machine that starts on it
    recovers. Raises LostError."""
    disk = Disk(memory / "after")
    lay_out(image, disk.root)
    try:
        if missing := acknowledged(marks) - disk.readings():
            raise LostError(f"{len(missing)} readings are gone")
        recover(disk)
    finally:
        shutil.rmtree(disk.root)


def recover(disk: Disk) -> None:
    """Fetch again what was not acknowledged (here: everything), rotate, and check that the archive
    holds each reading once."""
    before = {key: disk.archive.get(key) for key in disk.archive.keys()}  # noqa: SIM118  (an archive is no mapping)
    disk.append(BATCHES)
    disk.rotate(LATER)
    disk.rotate(LATER + RETENTION)
    for user in USERS:
        texts = [
            text
            for one in BATCHES
            for (whose, _), lines in one.items()
            if whose == user
            for text in lines
        ]
        assert_exactly_once(disk.archive, b"".join(texts), user)
    folder = LogFolder(disk.logs)
    assert [hour for hour in folder.hours() if folder.unarchived(hour)] == []
    assert all(disk.archive.get(key) == body for key, body in before.items()), (
        "no object is ever rewritten"
    )


def examine_all(memory: Path, recorded: Forgetting) -> int:
    """Examine every recorded disk; returns their number."""
    images = [
        (image, moment.marks) for moment in recorded.moments for image in moment.images.values()
    ]
    for image, marks in images:
        examine(memory, image, marks)
    return len(images)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("trusted", [True, False], ids=["syncfs", "fsync"])
def test_what_was_acknowledged_survives_power_loss(
    memory: Path, monkeypatch: pytest.MonkeyPatch, seed: int, note_row: NoteRow, *, trusted: bool
) -> None:
    if not trusted:
        monkeypatch.setattr("eagle_logger.logs.writer.reports_errors", lambda _: False)
    chance = Random(seed)

    def wanted() -> Iterable[Left]:
        if EVERYTHING:
            return Left
        return chance.sample(list(Left), int(chance.random() < EXAMINED_SHARE))

    recorded = record(memory / "before", wanted)
    assert [moment.marks for moment in recorded.moments if moment.step == "rename"][-1] == len(
        BATCHES
    )
    losses = examine_all(memory, recorded)
    kind = "syncfs" if trusted else "fsync"
    what = (
        f"the power fails after each step of logging and rotating ({kind}): "
        "what was not synced is gone, or in pieces"
    )
    readings = losses * len(acknowledged(len(BATCHES)))
    note_row(unharmed(2, f"power-{kind}", what, losses, readings))


@pytest.mark.parametrize("deaf", ["fsync folder", "fsync file", "syncfs"])
def test_a_missing_sync_would_be_noticed(
    memory: Path, deaf: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if deaf == "fsync file":
        monkeypatch.setattr("eagle_logger.logs.writer.reports_errors", lambda _: False)
    recorded = record(
        memory / "before", lambda: [Left.ONLY_WHAT_WAS_SYNCED], lambda step: step == deaf
    )
    with pytest.raises(LostError):
        examine_all(memory, recorded)
