"""Fault 1, without the other processes: the log writer and the rotation are killed again and again
on the same disk, 1 200 times at random steps.

A killed process is a forked child that sends itself SIGKILL at one of its system calls that change
the disk (`disk/crash_points.py`), or at one of its requests to the archive. Only `make faults` runs
this. `make test` kills at every step in turn: `tests/integration/logs/test_kills.py` and
`tests/integration/rotation/test_crashes.py`.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from eagle_logger.archive.archive import Archive
from eagle_logger.archive.directory import DirectoryArchive
from eagle_logger.core.hours import Hour
from eagle_logger.core.line_parser import read_lines
from eagle_logger.logs.writer import LogWriter
from tests.faults.conftest import EVERYTHING
from tests.faults.fault_table import NoteRow, Row
from tests.integration.rotation.test_crashes import stepping
from tests.support import log_files
from tests.support.log_lines import HOUR, demand
from tests.support.rotating import NOW, RETENTION, Disk, entries_in

pytestmark = pytest.mark.skipif(not EVERYTHING, reason="random kills: only `make faults` runs them")

KILLS = 1200
KILLS_OF_A_DISK = 100
STEPS_OF_A_ROUND = 80
"""About as many steps as a writer or a rotator takes. A child that is to be killed at a later step
finishes."""
STRIKE = (
    "kill -9 of the log writer and of the rotation at every write, fsync, rename, link, unlink "
    "and request (forked processes)"
)
USERS = [f"{number:06x}" for number in range(4)]
HOURS = [Hour(HOUR.start - 3600), HOUR]

Batch = dict[tuple[str, Hour], list[bytes]]


class KilledDisk:
    """One disk and one archive, on which writers and rotators are killed."""

    def __init__(self, directory: Path, random: Random) -> None:
        self.disk, self.archive = Disk(directory / "logs"), DirectoryArchive(directory / "archive")
        self.acknowledged = dict.fromkeys(USERS, b"")
        """The lines whose append returned, by user."""
        self.tried = dict.fromkeys(USERS, b"")
        """The lines that a writer was to append, by user."""
        self.kills = 0
        self._random = random
        self._number = 0
        self._now = NOW

    def write(self, killed_at: int) -> None:
        batches = [self._batch() for _ in range(3)]
        child = log_files.Killed(killed_at, lambda report: self._append(batches, report))
        self.kills += not child.finished
        for number, batch in enumerate(batches):
            for (user, _), lines in batch.items():
                self.tried[user] += b"".join(lines)
                if number in child.reported:
                    self.acknowledged[user] += b"".join(lines)

    def rotate(self, killed_at: int) -> None:
        self._now += self._random.choice([0, 0, RETENTION / 3])
        child = log_files.Killed(killed_at, lambda _: self._rotate(stepping(self.archive)))
        self.kills += not child.finished

    def check(self) -> None:
        """Rotate undisturbed, and compare the archive with what was acknowledged."""
        self._rotate(self.archive)
        assert self.disk.unarchived() == 0
        for user in USERS:
            assert_holds(self.archive, user, self.acknowledged[user], self.tried[user])

    def readings(self) -> int:
        return sum(map(len, entries_in(self.archive).values()))

    def _append(self, batches: list[Batch], report: Callable[[bytes], None]) -> None:
        writer = LogWriter(self.disk.folder.root, shards=2, max_open=2, min_free_disk=0)
        for number, batch in enumerate(batches):
            writer.append(batch)
            report(bytes([number]))
        writer.close()

    def _rotate(self, archive: Archive) -> None:
        self.disk.rotate(archive, self._now, include_open=True)

    def _batch(self) -> Batch:
        users = self._random.sample(USERS, self._random.randint(1, len(USERS)))
        return {
            (user, hour): self._lines(user, hour)
            for user in users
            for hour in [self._random.choice(HOURS)]
        }

    def _lines(self, user: str, hour: Hour) -> list[bytes]:
        """New lines, and sometimes a line that was tried before: a writer whose append did not
        return appends the lines again."""
        lines = []
        for _ in range(self._random.randint(1, 4)):
            self._number += 1
            offset = self._random.randrange(3600)
            lines.append(demand(offset, self._number, cloud_id=user, hour=hour))
        of_this_hour = f'"time":"{hour.name[:10]}T{hour.name[11:]}:'.encode()
        tried = self.tried[user].splitlines(keepends=True)
        tried = [line for line in tried if of_this_hour in line]
        return lines + self._random.sample(tried, min(len(tried), self._random.choice([0, 0, 1])))


def assert_holds(archive: Archive, user: str, acknowledged: bytes, tried: bytes) -> None:
    """Every acknowledged reading is archived once, and no reading that nobody tried to write."""
    archived = Counter(
        (line.identity, line.values)
        for key, lines in entries_in(archive).items()
        if f"={user}/" in key
        for line in lines
    )
    must_be_there, may_be_there = (
        {(line.identity, line.values) for line in read_lines(text, user)[0]}
        for text in (acknowledged, tried)
    )
    assert must_be_there <= set(archived) <= may_be_there
    assert [reading for reading, count in archived.items() if count > 1] == []


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """In memory where that is possible: a kill loses nothing that was written, synced or not."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(
        dir=memory if os.access(memory, os.W_OK) else tmp_path
    ) as name:
        yield Path(name)


@pytest.mark.timeout(300)
def test_kills_at_random_lose_and_double_nothing(
    directory: Path, seed: int, note_row: NoteRow
) -> None:
    random = Random(f"{seed}/kills")
    disks = [
        KilledDisk(directory / f"{number}", random) for number in range(KILLS // KILLS_OF_A_DISK)
    ]
    for disk in disks:
        kill_again_and_again(disk, random)
    kills = sum(disk.kills for disk in disks)
    readings = sum(disk.readings() for disk in disks)
    note_row(Row("kills", 1, STRIKE, kills, readings, lost=0, doubled=0, unreturnable=0))


def kill_again_and_again(disk: KilledDisk, random: Random) -> None:
    """Kill the writer at each step in turn and the rotator at any, then the other way round."""
    rounds = 0
    while disk.kills < KILLS_OF_A_DISK:
        in_turn, rounds = rounds % STEPS_OF_A_ROUND + 1, rounds + 1
        killed_at = [in_turn, random.randrange(1, STEPS_OF_A_ROUND)]
        if rounds // STEPS_OF_A_ROUND % 2:
            killed_at.reverse()
        disk.write(killed_at[0])
        disk.rotate(killed_at[1])
        if rounds % 20 == 0:
            disk.check()
    disk.check()
