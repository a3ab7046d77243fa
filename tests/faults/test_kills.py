"""Fault 1, without the processes around: kill -9 of the log writer and of the rotation, at every
step, a thousand times.

A kill is a forked child that ends itself with SIGKILL at one of its system calls that change the
disk (`disk/crash_points.py`), or at one of its requests to the archive.
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

KILLS = 1200 if EVERYTHING else 100
KILLS_OF_A_STORY = 100
LONGEST = 80
"""Steps of a round, about: who is to be killed later gets to the end."""
WHAT = "kill -9 of the log writer and of the rotation at every write, fsync, rename, link, unlink and request (forked processes)"
USERS = [f"{number:06x}" for number in range(4)]
HOURS = [Hour(HOUR.start - 3600), HOUR]

Batch = dict[tuple[str, Hour], list[bytes]]


class Story:
    """One disk and one archive, to which killed writers and killed rotators do what they were
    killed in the middle of."""

    def __init__(self, directory: Path, chance: Random) -> None:
        self.disk, self.archive = Disk(directory / "logs"), DirectoryArchive(directory / "archive")
        self.acknowledged = dict.fromkeys(USERS, b"")
        """What a writer said was logged, by user."""
        self.tried = dict.fromkeys(USERS, b"")
        self.kills = 0
        self._chance = chance
        self._number = 0
        self._now = NOW

    def write(self, killed_at: int) -> None:
        batches = [self._batch() for _ in range(3)]
        child = log_files.Killed(killed_at, lambda say: self._append(batches, say))
        self.kills += not child.finished
        for number, batch in enumerate(batches):
            for (user, _), lines in batch.items():
                self.tried[user] += b"".join(lines)
                if number in child.reported:
                    self.acknowledged[user] += b"".join(lines)

    def rotate(self, killed_at: int) -> None:
        self._now += self._chance.choice([0, 0, RETENTION / 3])
        child = log_files.Killed(killed_at, lambda _: self._rotate(stepping(self.archive)))
        self.kills += not child.finished

    def look(self) -> None:
        """Rotate undisturbed; then everything that was acknowledged is archived once, and nothing
        that nobody wrote."""
        self._rotate(self.archive)
        assert self.disk.unarchived() == 0
        for user in USERS:
            assert_holds(self.archive, user, self.acknowledged[user], self.tried[user])

    def readings(self) -> int:
        return sum(map(len, entries_in(self.archive).values()))

    def _append(self, batches: list[Batch], say: Callable[[bytes], None]) -> None:
        writer = LogWriter(self.disk.folder.root, shards=2, max_open=2, min_free_disk=0)
        for number, batch in enumerate(batches):
            writer.append(batch)
            say(bytes([number]))
        writer.close()

    def _rotate(self, archive: Archive) -> None:
        self.disk.rotate(archive, self._now, include_open=True)

    def _batch(self) -> Batch:
        users = self._chance.sample(USERS, self._chance.randint(1, len(USERS)))
        return {
            (user, hour): self._lines(user, hour)
            for user in users
            for hour in [self._chance.choice(HOURS)]
        }

    def _lines(self, user: str, hour: Hour) -> list[bytes]:
        """New ones, and now and then one that was tried before: whoever is not told that it was
        logged tries again."""
        lines = []
        for _ in range(self._chance.randint(1, 4)):
            self._number += 1
            lines.append(
                demand(self._chance.randrange(3600), self._number, cloud_id=user, hour=hour)
            )
        own = f'"time":"{hour.name[:10]}T{hour.name[11:]}:'.encode()
        before = [line for line in self.tried[user].splitlines(keepends=True) if own in line]
        return lines + self._chance.sample(before, min(len(before), self._chance.choice([0, 0, 1])))


def assert_holds(archive: Archive, user: str, acknowledged: bytes, tried: bytes) -> None:
    """Each reading once; all that was acknowledged, and nothing that nobody tried to write."""
    keys = entries_in(archive)
    found = Counter(
        (entry.identity, entry.values)
        for key, one in keys.items()
        if f"={user}/" in key
        for entry in one
    )
    wanted, possible = (
        {(entry.identity, entry.values) for entry in read_lines(text, user)[0]}
        for text in (acknowledged, tried)
    )
    assert wanted <= set(found)
    assert set(found) <= possible
    assert [reading for reading, count in found.items() if count > 1] == []


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is such a place: a kill loses nothing that was written, synced or not."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(
        dir=memory if os.access(memory, os.W_OK) else tmp_path
    ) as name:
        yield Path(name)


@pytest.mark.timeout(300)
def test_killed_a_thousand_times(directory: Path, seed: int, note_row: NoteRow) -> None:
    """The writer at each step in turn and the rotator at any, then the other way round."""
    chance = Random(f"{seed}/kills")
    stories = [
        Story(directory / f"{number}", chance) for number in range(KILLS // KILLS_OF_A_STORY)
    ]
    for story in stories:
        kill_again_and_again(story, chance)
    kills, readings = (
        sum(story.kills for story in stories),
        sum(story.readings() for story in stories),
    )
    note_row(Row("kills", 1, WHAT, kills, readings, lost=0, doubled=0, unreturnable=0))


def kill_again_and_again(story: Story, chance: Random) -> None:
    rounds = 0
    while story.kills < KILLS_OF_A_STORY:
        at_each, rounds = rounds % LONGEST + 1, rounds + 1
        killed_at = [at_each, chance.randrange(1, LONGEST)]
        if rounds // LONGEST % 2:
            killed_at.reverse()
        story.write(killed_at[0])
        story.rotate(killed_at[1])
        if rounds % 20 == 0:
            story.look()
    story.look()
