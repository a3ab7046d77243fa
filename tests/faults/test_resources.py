"""Fault 9: a process that may open 64 files, and thousands of log files."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from eagle_logger.archive.directory import DirectoryArchive
from eagle_logger.core.hours import Hour
from eagle_logger.core.line_parser import read_lines
from eagle_logger.core.sealing import gunzipped
from eagle_logger.logs.folder import LogFolder
from eagle_logger.logs.writer import LogWriter
from eagle_logger.rotation.hours_to_rotate import hours_to_rotate
from eagle_logger.rotation.rotate_shard import rotate_shard
from eagle_logger.rotation.rotation_rules import RotationRules
from tests.faults.conftest import EVERYTHING
from tests.faults.fault_table import NoteRow, unharmed
from tests.support.log_files import fork, line, outcome
from tests.support.log_lines import HOUR
from tests.support.rotating import GRACE, NOW, RETENTION

FILES = 10_000 if EVERYTHING else 400
DESCRIPTORS = 64
USERS = [f"{number:06x}" for number in range(FILES)]


def log_and_rotate(root: Path) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    writer = LogWriter(root / "logs", shards=16, max_open=512, min_free_disk=0)
    for number in range(3):
        for start in range(0, FILES, 100):
            batch: dict[tuple[str, Hour], list[bytes]] = {
                (user, HOUR): [line(number, user)] for user in USERS[start : start + 100]
            }
            writer.append(batch)
    folder, archive = LogFolder(root / "logs"), DirectoryArchive(root / "archive")
    rules = RotationRules(folder, NOW, grace=GRACE, retention=RETENTION)
    for hour, shard in hours_to_rotate(rules):
        rotated = rotate_shard(rules, archive, hour, shard)
        assert not rotated.errors
    writer.close()


@pytest.mark.timeout(600)
def test_few_descriptors_suffice_for_many_log_files(tmp_path: Path, note_row: NoteRow) -> None:
    assert outcome(fork(lambda: log_and_rotate(tmp_path))) == 0
    archive = DirectoryArchive(tmp_path / "archive")
    keys = list(archive.keys())
    assert len(keys) == FILES
    for user, key in zip(USERS, keys, strict=True):
        entries, unreadable = read_lines(gunzipped(archive.get(key)), user)
        assert (len(entries), unreadable) == (3, [])
    what = f"{DESCRIPTORS} file descriptors and {FILES:,} log files".replace(",", " ")
    note_row(unharmed(9, "resources", what, 1, 3 * FILES))
