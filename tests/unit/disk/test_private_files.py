"""Files that a process writes are closed to other users."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from eagle_logger.disk.private_files import close_to_others

WRITING_PROGRAM = """
from pathlib import Path
from resource import RLIMIT_CORE, getrlimit
from eagle_logger.disk.private_files import write_for_own_user_only
write_for_own_user_only()
Path("folder").mkdir()
Path("folder/file").write_text("")
print(getrlimit(RLIMIT_CORE))
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_files_are_private_and_no_memory_is_dumped(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WRITING_PROGRAM],
        cwd=tmp_path,
        capture_output=True,
        check=True,
        text=True,
    )
    assert done.stdout.strip() == "(0, 0)"
    assert (mode(tmp_path / "folder"), mode(tmp_path / "folder" / "file")) == (0o700, 0o600)


def test_a_directory_that_was_open_to_others_is_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    close_to_others(tmp_path)
    assert mode(tmp_path) == 0o700


def test_a_directory_of_another_owner_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, mode: int) -> None:
        raise PermissionError(path, mode)

    tmp_path.chmod(0o755)
    monkeypatch.setattr(Path, "chmod", refuse)
    close_to_others(tmp_path)
    assert mode(tmp_path) == 0o755
