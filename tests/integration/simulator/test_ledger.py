from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from eagle_logger.simulator.relay.ledger import Ledger


def test_a_reader_gets_every_line_that_was_added_before(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.add('{"n":1}\n')
    size = ledger.size()
    assert ledger.read(0, size) == b'{"n":1}\n' == (tmp_path / "ledger.jsonl").read_bytes()
    ledger.close()


def test_a_ledger_without_a_path_keeps_its_lines() -> None:
    ledger = Ledger()
    line = '{"text":"caf\N{LATIN SMALL LETTER E WITH ACUTE}"}\n'
    ledger.add(line)
    assert ledger.read(0, ledger.size()).decode() == line
    ledger.close()


def test_a_ledger_is_continued_after_a_restart(tmp_path: Path) -> None:
    for number in range(2):
        ledger = Ledger(tmp_path / "ledger.jsonl")
        ledger.add(f"{number}\n")
        ledger.close()
    assert (tmp_path / "ledger.jsonl").read_bytes() == b"0\n1\n"


@pytest.mark.parametrize(
    ("left", "kept"),
    [(b'{"n":1}\n{"n', b'{"n":1}\n'), (b"x" * 200_000, b""), (b"1\n" + b"x" * 200_000, b"1\n")],
)
def test_a_torn_last_line_is_cut_off(tmp_path: Path, left: bytes, kept: bytes) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(left)
    ledger = Ledger(path)
    ledger.add("2\n")
    ledger.close()
    assert path.read_bytes() == kept + b"2\n"


def test_lines_that_a_full_disk_refused_are_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, write = Ledger(tmp_path / "ledger.jsonl"), os.write
    ledger.add("123456\n")

    def write_until_full(descriptor: int, data: bytes) -> int:
        if len(data) < 7:
            raise OSError(errno.ENOSPC, "full")
        return write(descriptor, data[:3])

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", write_until_full)
        with pytest.raises(OSError, match="full"):
            ledger.flush()
    ledger.add("7\n")
    assert ledger.read(0, ledger.size()) == b"123456\n7\n"
    ledger.close()


def test_a_ledger_in_a_missing_folder_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Ledger(tmp_path / "nowhere" / "ledger.jsonl")
