"""Torn last lines, which a process leaves that was killed in the middle of a write."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eagle_logger.core import paths
from eagle_logger.logs.torn_line import cut_torn_line
from eagle_logger.logs.writer import LogWriter
from tests.integration.logs.conftest import MakeWriter
from tests.support import log_files
from tests.support.log_files import line
from tests.support.log_lines import HOUR

USER = "002738"
PATH = paths.log_file(USER, HOUR, 4)


def kept_aside(root: Path) -> list[bytes]:
    return sorted(
        path.read_bytes() for path in (root / "quarantine").glob("*") if path.suffix != ".reason"
    )


@given(
    st.lists(st.binary(max_size=60).map(lambda text: text.replace(b"\n", b"x"))),
    st.binary(max_size=300),
)
@example([], b"")
@example([], b"torn")
@example([b"a"], b"\n")
@example([b"a" * 70_000], b"b" * 140_000)
def test_whole_lines_stay_and_the_torn_rest_is_kept_aside(whole: list[bytes], rest: bytes) -> None:
    rest = rest.rpartition(b"\n")[2]
    lines = b"".join(text + b"\n" for text in whole)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        path = root / "some.jsonl"
        path.write_bytes(lines + rest)
        fd = os.open(path, os.O_RDWR | os.O_APPEND)
        try:
            assert cut_torn_line(fd, path.name, root, os.fstat(fd).st_size) == (
                len(lines),
                rest != b"",
            )
            assert path.read_bytes() == lines
            assert cut_torn_line(fd, path.name, root, len(lines)) == (len(lines), False)
        finally:
            os.close(fd)
        assert kept_aside(root) == ([rest] if rest else [])


@pytest.mark.parametrize("cut", [1, 20, -1])
def test_a_torn_line_is_cut_off_before_the_next_append(
    make_writer: MakeWriter, root: Path, cut: int
) -> None:
    make_writer().append({(USER, HOUR): [line(1)]})
    with (root / PATH).open("ab") as file:
        file.write(line(2)[:cut])
    written = make_writer().append({(USER, HOUR): [line(3)]})

    assert written.torn == 1
    assert (root / PATH).read_bytes() == line(1) + line(3)
    assert kept_aside(root) == [line(2)[:cut]]
    [reason] = (root / "quarantine").glob("*.reason")
    assert reason.name.startswith(f"rainforest-{USER}-{HOUR}.jsonl.")
    assert "torn" in reason.read_text()


def test_a_line_torn_by_another_process_is_cut_off_from_an_open_file(
    writer: LogWriter, root: Path
) -> None:
    writer.append({(USER, HOUR): [line(1)]})
    with (root / PATH).open("ab") as file:
        file.write(line(2)[:30])
    assert writer.append({(USER, HOUR): [line(3)]}).torn == 1
    assert writer.append({(USER, HOUR): [line(4)]}).torn == 0
    assert (root / PATH).read_bytes() == line(1) + line(3) + line(4)


def test_the_same_torn_bytes_twice_are_kept_once_and_others_beside_them(
    make_writer: MakeWriter, root: Path
) -> None:
    for torn in (b"same", b"same", b"other"):
        (root / PATH).parent.mkdir(parents=True, exist_ok=True)
        with (root / PATH).open("ab") as file:
            file.write(torn)
        make_writer().append({(USER, HOUR): [line(1)]})
    assert kept_aside(root) == [b"other", b"same"]
    assert log_files.torn(root) == []
