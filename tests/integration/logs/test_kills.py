"""kill -9 at every write, fsync, rename and unlink in turn: what was acknowledged is there, and
nothing torn is left."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from eagle_logger.core import paths
from eagle_logger.core.hours import Hour
from eagle_logger.disk import crash_points
from eagle_logger.logs.folder import LogFolder
from eagle_logger.logs.writer import LogWriter
from tests.integration.logs.test_folder import receipt
from tests.support import log_files
from tests.support.log_files import killed_at_every_step, line
from tests.support.log_lines import HOUR

Report = Callable[[bytes], None]


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is such a place: a kill loses nothing that was written, synced or
    not."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path / "logs"
        return
    with tempfile.TemporaryDirectory(dir=memory) as name:
        yield Path(name) / "logs"


USERS = [f"{number:06x}" for number in range(5)]


def batch(number: int, users: list[str]) -> dict[tuple[str, Hour], list[bytes]]:
    return {(user, HOUR): [line(number, user), line(number + 1, user)] for user in users}


BATCHES = [batch(1, USERS[:1]), batch(3, USERS), batch(5, USERS[:2]), batch(7, USERS[1:])]
ALL_LINES = Counter(text for lines in BATCHES for texts in lines.values() for text in texts)


def append_all(root: Path, report: Report, max_open: int) -> None:
    """Append the batches, and report the number of each one whose append returned."""
    writer = LogWriter(root, shards=2, max_open=max_open, min_free_disk=0)
    for number, lines in enumerate(BATCHES):
        writer.append(lines)
        report(bytes([number]))
    writer.close()


def seal_all(root: Path) -> None:
    folder = LogFolder(root)
    for hour in folder.hours():
        for shard in folder.shards(hour):
            with folder.rotating(hour, shard) as locked:
                assert locked
                for opened in folder.open_files(hour, shard):
                    folder.seal(opened)


def acknowledged(reported: bytes) -> set[bytes]:
    return {text for number in reported for texts in BATCHES[number].values() for text in texts}


def whole_lines(root: Path) -> set[bytes]:
    return {text for text in log_files.lines(root) if text.endswith(b"\n")}


def recover(root: Path) -> None:
    """As the next processes do: append again what was not acknowledged (here: everything), and
    seal the files."""
    append_all(root, lambda _: None, 64)
    seal_all(root)
    assert log_files.torn(root) == []
    assert set(log_files.lines(root)) == set(ALL_LINES)
    folder = LogFolder(root)
    assert [
        folder.open_files(hour, shard) for hour in folder.hours() for shard in folder.shards(hour)
    ] == [[] for hour in folder.hours() for _ in folder.shards(hour)]


@pytest.mark.parametrize("trusted", [True, False], ids=["syncfs", "fsync"])
@pytest.mark.parametrize(("start", "max_open"), [("new", 1), ("new", 64), ("torn", 1)])
def test_killed_at_any_step_of_appending(
    root: Path, start: str, max_open: int, monkeypatch: pytest.MonkeyPatch, *, trusted: bool
) -> None:
    if not trusted:
        monkeypatch.setattr("eagle_logger.logs.writer.reports_errors", lambda _: False)

    def begin() -> None:
        shutil.rmtree(root, ignore_errors=True)
        if start == "torn":
            append_all(root, lambda _: None, 64)
            for path in log_files.files(root)[:3]:
                path.write_bytes(line(99, USERS[0])[:40])

    kills = 0
    for child in killed_at_every_step(lambda report: append_all(root, report, max_open), begin):
        assert acknowledged(child.reported) <= whole_lines(root)
        assert whole_lines(root) <= set(ALL_LINES)
        recover(root)
        kills += not child.finished
    assert kills >= 40


def test_killed_in_the_middle_of_any_write(root: Path) -> None:
    """Half of the bytes are written, then the process is killed."""
    writes = sum(len(one) for one in BATCHES)

    def dies_in_write(number: int) -> Callable[[Report], None]:
        def run(report: Report) -> None:
            passed = 0

            def write(fd: int, data: bytes) -> int:
                nonlocal passed
                passed += 1
                if passed == number:
                    os.write(fd, data[: len(data) // 2 + 3])
                    os.kill(os.getpid(), signal.SIGKILL)
                return os.write(fd, data)

            crash_points.write = write
            append_all(root, report, 64)

        return run

    for number in range(1, writes + 1):
        shutil.rmtree(root, ignore_errors=True)
        child = log_files.Killed(0, dies_in_write(number))
        assert not child.finished
        assert len(log_files.torn(root)) == 1
        assert acknowledged(child.reported) <= whole_lines(root)
        recover(root)
        kept = [path for path in (root / "quarantine").iterdir() if path.suffix != ".reason"]
        assert len(kept) == 1
        assert kept[0].read_bytes() != b""


def test_killed_at_any_step_of_sealing(root: Path) -> None:
    def begin() -> None:
        shutil.rmtree(root, ignore_errors=True)
        append_all(root, lambda _: None, 64)
        first, second, *_ = log_files.files(root)
        first.write_bytes(first.read_bytes() + b"torn")
        second.write_bytes(b"")

    kills = 0
    for child in killed_at_every_step(lambda _: seal_all(root), begin):
        of_the_emptied_file = {
            text
            for lines in BATCHES
            for (user, _), texts in lines.items()
            if user == _second_user()
            for text in texts
        }
        assert set(ALL_LINES) - of_the_emptied_file <= whole_lines(root)
        seal_all(root)
        assert log_files.torn(root) == []
        assert log_files.lines(root) == Counter(
            {text: 1 for text in ALL_LINES if text not in of_the_emptied_file}
        )
        recover(root)
        kills += not child.finished
    assert kills >= 30


def _second_user() -> str:
    """The user whose file is the second in the order of paths."""
    return sorted(USERS, key=lambda user: (paths.shard_of(user, 2), user))[1]


def test_killed_at_any_step_of_archiving_and_removing(root: Path) -> None:
    """A file stays until its receipt is there, and a receipt goes with its file."""

    def begin() -> None:
        shutil.rmtree(root, ignore_errors=True)
        append_all(root, lambda _: None, 64)
        seal_all(root)

    def archive_and_remove() -> None:
        folder = LogFolder(root)
        for hour in folder.hours():
            for shard in folder.shards(hour):
                with folder.rotating(hour, shard):
                    for sealed in folder.sealed_files(hour, shard):
                        folder.remove(
                            sealed
                            if sealed.receipt
                            else folder.write_receipt(sealed, receipt(sealed))
                        )

    kills = 0
    for child in killed_at_every_step(lambda _: archive_and_remove(), begin):
        for path in root.glob("*/*/*.receipt.json"):
            assert path.read_bytes().endswith(b"}\n")
        archive_and_remove()
        archive_and_remove()
        with LogFolder(root).rotating(Hour(0), "00"):
            pass  # the next rotator of any shard clears a dead rotator's lock away
        left = [path for path in root.rglob("*") if path.is_file()]
        assert left == [], left
        assert LogFolder(root).hours() == []
        kills += not child.finished
    assert kills >= 40


def test_killed_at_any_step_of_naming_the_node(root: Path) -> None:
    for child in killed_at_every_step(
        lambda report: report(LogFolder(root).node().encode()),
        lambda: shutil.rmtree(root, ignore_errors=True),
    ):
        name = LogFolder(root).node()
        assert child.reported.decode() in {"", name}


def test_killed_at_any_step_of_keeping_aside(root: Path) -> None:
    for child in killed_at_every_step(
        lambda report: report(str(LogFolder(root).quarantine("a", b"content", "why")).encode()),
        lambda: shutil.rmtree(root, ignore_errors=True),
    ):
        if child.reported:
            assert Path(child.reported.decode()).read_bytes() == b"content"
        kept = LogFolder(root).quarantine("a", b"content", "why")
        assert kept.read_bytes() == b"content"
        assert kept.with_name(kept.name + ".reason").read_text() == "why\n"
