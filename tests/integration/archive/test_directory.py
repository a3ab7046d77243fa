"""The archive in a directory: what others see there, and what a full or broken disk makes of it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from eagle_logger.archive.directory import DirectoryArchive
from eagle_logger.errors import AlreadyThere, ArchiveUnavailable, NoConditionalWrites

KEY = "cloud_id=002738/date=2026-03-10/002738-2026-03-10-17.jsonl.gz"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "not" / "there" / "yet"


def test_only_objects_match_the_pattern_that_analysts_use(root: Path) -> None:
    archive = DirectoryArchive(root)
    archive.put(KEY, b"body", {"rows": "1"})
    assert [
        path.relative_to(root).as_posix() for path in root.rglob("*.jsonl.gz") if path.is_file()
    ] == [KEY]
    assert [path for path in root.rglob("*.jsonl*") if path.is_file() and path.suffix == ".json"]


def test_nothing_half_written_is_left_where_objects_are(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    archive = DirectoryArchive(root)
    archive.ping()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ArchiveUnavailable, match="No space left"):
        archive.put(KEY, b"body", {})
    monkeypatch.undo()
    assert list(archive.keys()) == []
    archive.put(KEY, b"body", {})
    assert archive.get(KEY) == b"body"


def test_a_directory_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ArchiveUnavailable, match="make the directory writable"):
        DirectoryArchive(tmp_path / "file").put(KEY, b"body", {})


def test_the_loser_of_a_race_cannot_change_what_the_winners_object_says(root: Path) -> None:
    first, second = DirectoryArchive(root), DirectoryArchive(root)
    first.put(KEY, b"first", {"rows": "1"})
    with pytest.raises(AlreadyThere):
        second.put(KEY, b"second", {"rows": "2"})
    info = first.head(KEY)
    assert info is not None
    assert info.metadata == {"rows": "1"}


def test_an_object_whose_bytes_changed_says_so(root: Path) -> None:
    archive = DirectoryArchive(root)
    archive.put(KEY, b"body", {"rows": "1"})
    before = archive.head(KEY)
    (root / KEY).write_bytes(b"bodY")
    after = archive.head(KEY)
    assert before is not None
    assert after is not None
    assert before.sha256 != after.sha256
    assert after.metadata == {}


def test_files_that_a_killed_writer_left_are_deleted_after_a_day(root: Path) -> None:
    archive = DirectoryArchive(root)
    archive.ping()
    young, old = (root / ".incoming" / name for name in ("young", "old"))
    for path in (young, old):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    archive.ping()
    assert (young.exists(), old.exists()) == (True, False)


@pytest.mark.parametrize("key", ["../outside", "a//b", ".metadata/x", "/absolute"])
def test_a_key_that_leads_out_of_the_directory_is_refused(root: Path, key: str) -> None:
    with pytest.raises(ValueError, match="not a key"):
        DirectoryArchive(root).put(key, b"", {})


def test_rotation_into_a_directory_imports_no_boto3() -> None:
    modules = "eagle_logger.archive.directory, eagle_logger.rotation.rotate_shard"
    code = f"import sys, {modules}; sys.exit('boto3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_proof_leaves_nothing_behind(root: Path) -> None:
    DirectoryArchive(root).prove()
    assert [path for path in root.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV])
def test_a_file_system_that_cannot_link_is_not_used(
    root: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def link(_source: Path, _target: Path) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", link)
    archive = DirectoryArchive(root)
    for ask in (archive.prove, lambda: archive.put(KEY, b"body", {})):
        with pytest.raises(
            NoConditionalWrites,
            match=r"no conditional writes and cannot be used: .* cannot link files",
        ):
            ask()
    assert list(archive.keys()) == []
    assert [path for path in root.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("is_refused", [False, True])
def test_a_file_system_whose_links_replace_is_not_used(
    root: Path, monkeypatch: pytest.MonkeyPatch, *, is_refused: bool
) -> None:
    """As where something in between makes links by copying."""

    def link(source: Path, target: Path) -> None:
        was_there = target.exists()
        target.write_bytes(source.read_bytes())
        if was_there and is_refused:
            raise FileExistsError

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(NoConditionalWrites, match="replaces the file of its name"):
        DirectoryArchive(root).prove()


def test_a_directory_that_is_full_proves_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(_source: Path, _target: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(ArchiveUnavailable, match="No space left") as caught:
        DirectoryArchive(root).prove()
    assert not isinstance(caught.value, NoConditionalWrites)
