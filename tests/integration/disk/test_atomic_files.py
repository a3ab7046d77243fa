"""Files that are there whole or not at all: new, replaced, and when the process is killed."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from eagle_logger.disk.atomic_files import create_file, replace_file, replacement, write_new_file
from tests.support.log_files import killed_at_every_step

OLD, NEW = b"old content\n", b"new content\n"


def test_a_file_is_created_once(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert create_file(path, OLD)
    assert not create_file(path, NEW)
    assert path.read_bytes() == OLD
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_replaces_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_new_file(path, OLD)
    with pytest.raises(FileExistsError):
        write_new_file(path, NEW)
    assert path.read_bytes() == OLD


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_is_replaced_and_only_its_owner_may_read_it(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "file"
    path.write_bytes(OLD)
    path.chmod(0o644)
    replace_file(path, NEW, durable=durable)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (NEW, 0o600)
    assert list(tmp_path.iterdir()) == [path]


def test_a_replacement_takes_the_name_at_the_end_of_its_block(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(OLD)
    with replacement(path) as file:
        file.write("häuser\n")
        assert path.read_bytes() == OLD
    assert path.read_text("utf-8") == "häuser\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_replacement_whose_block_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(OLD)
    with suppress(KeyError), replacement(path) as file:
        file.write("half")
        raise KeyError
    assert path.read_bytes() == OLD
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_whose_replacing_is_killed_is_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    path = folder / "file"

    def begin() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        path.write_bytes(OLD)

    kills = 0
    for child in killed_at_every_step(lambda _: replace_file(path, NEW, durable=True), begin):
        assert path.read_bytes() in ({NEW} if child.finished else {OLD, NEW})
        kills += not child.finished
        replace_file(path, NEW, durable=True)
        assert path.read_bytes() == NEW
    before_and_after_write_fsync_rename_and_fsync_of_the_folder = 8
    assert kills == before_and_after_write_fsync_rename_and_fsync_of_the_folder


def test_what_a_killed_process_of_the_same_number_left_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    monkeypatch.setattr("os.getpid", lambda: 7)
    monkeypatch.setattr("threading.get_ident", lambda: 7)
    (tmp_path / ".file.7.7.new").write_bytes(b"half of a content that is longer")
    replace_file(path, NEW, durable=False)
    assert path.read_bytes() == NEW
    assert list(tmp_path.iterdir()) == [path]
