from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from eagle_logger.core import paths
from eagle_logger.core.hours import SECONDS_PER_HOUR, Hour
from eagle_logger.disk import crash_points
from eagle_logger.errors import ConfigurationError
from eagle_logger.logs.folder import LogFile, LogFolder, Receipt, SealedFile
from eagle_logger.logs.writer import LogWriter
from tests.integration.logs.conftest import MakeWriter
from tests.support import log_files
from tests.support.log_files import line
from tests.support.log_lines import HOUR, demand

USER = "002738"
SHARD = paths.shard_name(paths.shard_of(USER, 4))
NEXT_HOUR = Hour(HOUR.start + SECONDS_PER_HOUR)


def receipt(sealed: SealedFile, part: int | None = 0) -> Receipt:
    key = None if part is None else paths.archive_key(sealed.cloud_id, sealed.hour, part)
    return Receipt(sealed.cloud_id, sealed.hour, part, key, 1, 2, 3, "a" * 64, "b" * 64, 4, 5.0)


def seal_one(folder: LogFolder, writer: LogWriter, number: int = 1) -> SealedFile:
    writer.append({(USER, HOUR): [line(number)]})
    [opened] = folder.open_files(HOUR, SHARD)
    sealed = folder.seal(opened)
    assert sealed is not None
    return sealed


# The node -----------------------------------------------------------------------------------------


def test_all_processes_get_the_same_name_of_a_volume(root: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        [name] = set(threads.map(lambda _: LogFolder(root).node(), range(16)))
    assert len(name) == 12
    int(name, 16)
    assert LogFolder(root).node() == name
    assert [path.name for path in root.iterdir()] == ["node-id"]


@pytest.mark.parametrize("content", ["", "0123", "0123456789AB", "0123456789abc", "node one here"])
def test_a_file_without_a_valid_name_is_not_overwritten(root: Path, content: str) -> None:
    root.mkdir(parents=True)
    (root / "node-id").write_text(content)
    with pytest.raises(ConfigurationError, match="12 hex digits"):
        LogFolder(root).node()
    assert (root / "node-id").read_text() == content


# Listing and reading ------------------------------------------------------------------------------


def test_an_empty_or_missing_volume_holds_nothing(folder: LogFolder) -> None:
    assert folder.hours() == []
    assert folder.shards(HOUR) == []
    assert folder.open_files(HOUR, SHARD) == []
    assert folder.sealed_files(HOUR, SHARD) == []
    assert folder.unarchived(HOUR) == 0


def test_log_files_are_listed_in_order_and_nothing_else_is(
    folder: LogFolder, writer: LogWriter, root: Path
) -> None:
    users = ["00ffff", "000001", "7abcde"]
    writer.append(
        {(user, hour): [line(1, user, hour)] for user in users for hour in (NEXT_HOUR, HOUR)}
    )
    folder.node()
    (root / "2026-03-10").mkdir()
    (root / "2026-03-10-99").mkdir()
    (root / HOUR.name / "lost+found").mkdir()
    (root / HOUR.name / "07").write_text("a file, not a folder")

    assert folder.hours() == [HOUR, NEXT_HOUR]
    shards = folder.shards(HOUR)
    assert shards == sorted({paths.shard_name(paths.shard_of(user, 4)) for user in users})
    found = [file for shard in shards for file in folder.open_files(HOUR, shard)]
    assert sorted(file.cloud_id for file in found) == sorted(users)
    for file in found:
        assert file == LogFile(
            root / paths.log_file(file.cloud_id, HOUR, 4),
            file.cloud_id,
            HOUR,
            file.path.parent.name,
        )


def test_sealed_files_are_listed_by_user_and_sequence_with_their_receipts(
    folder: LogFolder, writer: LogWriter
) -> None:
    sealed = [seal_one(folder, writer, number) for number in range(1, 12)]
    folder.write_receipt(sealed[2], receipt(sealed[2]))
    found = folder.sealed_files(HOUR, SHARD)
    assert [file.sequence for file in found] == list(range(1, 12))
    assert [file.receipt for file in found] == [None, None, receipt(sealed[2]), *[None] * 8]
    assert folder.unarchived(HOUR) == 10
    writer.append({(USER, HOUR): [line(1)]})
    assert folder.unarchived(HOUR) == 11


def test_the_files_of_one_user_can_be_listed(folder: LogFolder, writer: LogWriter) -> None:
    sealed = seal_one(folder, writer)
    writer.append({(user, HOUR): [line(1, user)] for user in (USER, "00ce69")})
    assert folder.sealed_files_of(USER, HOUR, SHARD) == [sealed]
    assert folder.sealed_files_of("00ce69", HOUR, SHARD) == []
    assert folder.open_file_of(USER, HOUR, SHARD) in folder.open_files(HOUR, SHARD)


@pytest.mark.parametrize("content", [b"", b"{", b'{"v":1}', b"\x00" * 300])
def test_a_receipt_that_cannot_be_read_proves_nothing(
    folder: LogFolder, writer: LogWriter, content: bytes
) -> None:
    sealed = seal_one(folder, writer)
    sealed.receipt_path.write_bytes(content)
    assert folder.sealed_files(HOUR, SHARD) == [sealed]
    with pytest.raises(ValueError, match="no receipt"):
        folder.remove(sealed)


def test_another_files_receipt_proves_nothing(folder: LogFolder, writer: LogWriter) -> None:
    sealed = seal_one(folder, writer)
    strange = replace(receipt(sealed), cloud_id="00ce69")
    with pytest.raises(ValueError, match="does not belong"):
        folder.write_receipt(sealed, strange)
    sealed.receipt_path.write_bytes(strange.to_json())
    assert folder.sealed_files(HOUR, SHARD) == [sealed]


def test_the_first_arrival_is_that_of_the_first_readable_line(
    folder: LogFolder, writer: LogWriter, root: Path
) -> None:
    writer.append(
        {
            (USER, HOUR): [
                b"nonsense\n",
                demand(1, 1, arrived=1_773_164_041.25),
                demand(2, 2, arrived=1.0),
            ]
        }
    )
    [opened] = folder.open_files(HOUR, SHARD)
    assert folder.first_arrival(opened) == 1_773_164_041.25
    opened.path.write_bytes(b"nonsense\n")
    assert folder.first_arrival(opened) == opened.path.stat().st_mtime
    opened.path.unlink()
    assert folder.first_arrival(opened) is None


def test_unreadable_lines_are_returned_with_number_and_reason(
    folder: LogFolder, writer: LogWriter
) -> None:
    others = line(3, "00ce69")
    writer.append(
        {
            (USER, HOUR): [
                line(1),
                b'{"v":9}\n',
                others,
                b'{"v":1,"torn' + line(2),
                b"\x00" * 50 + b"\n",
                line(4),
            ]
        }
    )
    [opened] = folder.open_files(HOUR, SHARD)
    content = folder.read(opened)
    assert [entry.text + b"\n" for entry in content.readable] == [line(1), line(2), line(4)]
    assert [(bad.number, bad.content) for bad in content.unreadable] == [
        (2, b'{"v":9}'),
        (3, others.rstrip(b"\n")),
        (4, b'{"v":1,"torn'),
        (5, b"\x00" * 50),
    ]
    assert all(bad.reason for bad in content.unreadable)


def test_a_torn_last_line_is_read_from_a_sealed_file_only(
    folder: LogFolder, writer: LogWriter
) -> None:
    sealed = seal_one(folder, writer)
    writer.append({(USER, HOUR): [line(2)]})
    [opened] = folder.open_files(HOUR, SHARD)
    for file in (opened, sealed):
        with file.path.open("ab") as more:
            more.write(line(3)[:-5])
    from_open = folder.read(opened)
    assert [entry.text for entry in from_open.readable] == [line(2)[:-1]]
    assert not from_open.unreadable
    assert [bad.content for bad in folder.read(sealed).unreadable] == [line(3)[:-5]]


# Sealing ------------------------------------------------------------------------------------------


def test_a_sealed_file_has_another_name_and_the_next_append_another_file(
    folder: LogFolder, writer: LogWriter, root: Path
) -> None:
    first = seal_one(folder, writer, 1)
    second = seal_one(folder, writer, 2)
    writer.append({(USER, HOUR): [line(3)]})
    assert first.path.name == f"rainforest-{USER}-{HOUR}.0001.sealed.jsonl"
    assert (first.path.read_bytes(), second.path.read_bytes()) == (line(1), line(2))
    assert (root / paths.log_file(USER, HOUR, 4)).read_bytes() == line(3)
    assert folder.sealed_files(HOUR, SHARD) == [first, second]


def test_sealing_cuts_off_a_torn_line(folder: LogFolder, writer: LogWriter, root: Path) -> None:
    writer.append({(USER, HOUR): [line(1)]})
    [opened] = folder.open_files(HOUR, SHARD)
    with opened.path.open("ab") as file:
        file.write(b"torn")
    sealed = folder.seal(opened)
    assert sealed is not None
    assert sealed.path.read_bytes() == line(1)
    [kept] = (path for path in (root / "quarantine").iterdir() if path.suffix != ".reason")
    assert kept.read_bytes() == b"torn"


@pytest.mark.parametrize("content", [b"", b"only a torn line"])
def test_sealing_removes_a_file_without_a_line(
    folder: LogFolder, writer: LogWriter, content: bytes
) -> None:
    writer.append({(USER, HOUR): [line(1)]})
    [opened] = folder.open_files(HOUR, SHARD)
    opened.path.write_bytes(content)
    assert folder.seal(opened) is None
    assert not opened.path.exists()
    assert folder.sealed_files(HOUR, SHARD) == []
    assert folder.seal(opened) is None


def test_a_receipt_without_its_file_does_not_prove_the_next_file(
    folder: LogFolder, writer: LogWriter
) -> None:
    """Killed between deleting a file and deleting its receipt."""
    first = seal_one(folder, writer)
    folder.write_receipt(first, receipt(first))
    first.path.unlink()
    second = seal_one(folder, writer, 2)
    assert second.sequence == 2
    assert folder.sealed_files(HOUR, SHARD) == [second]
    with folder.rotating(HOUR, SHARD) as locked:
        assert locked
    assert not first.receipt_path.exists()
    assert folder.sealed_files(HOUR, SHARD) == [second]


# Removing -----------------------------------------------------------------------------------------


def test_what_is_archived_is_removed_with_its_receipt_and_empty_folders(
    folder: LogFolder, writer: LogWriter, root: Path
) -> None:
    first, second = seal_one(folder, writer, 1), seal_one(folder, writer, 2)
    proven = folder.write_receipt(first, receipt(first))
    assert proven.receipt == receipt(first)
    with pytest.raises(ValueError, match="no receipt"):
        folder.remove(second)
    folder.remove(proven)
    folder.remove(proven)
    assert folder.sealed_files(HOUR, SHARD) == [second]
    folder.remove(folder.write_receipt(second, receipt(second, None)))
    assert folder.hours() == []
    assert list(root.iterdir()) == []


def test_the_receipt_is_durable_before_what_it_proves_is_deleted(
    folder: LogFolder, writer: LogWriter
) -> None:
    proven = seal_one(folder, writer)
    proven = folder.write_receipt(proven, receipt(proven))
    done: list[str] = []
    crash_points.install(done.append)
    try:
        folder.remove(proven)
    finally:
        crash_points.install(None)
    assert done[:3] == ["before fsync", "after fsync", "before unlink"]


@pytest.mark.parametrize(
    "left", [b"", b'{"v": 1, "clo', b"\0" * 300], ids=["nothing", "half", "zeroes"]
)
def test_what_power_loss_leaves_of_a_receipt_proves_nothing(
    folder: LogFolder, writer: LogWriter, left: bytes
) -> None:
    sealed = seal_one(folder, writer)
    folder.write_receipt(sealed, receipt(sealed)).receipt_path.write_bytes(left)
    assert [file.receipt for file in folder.sealed_files(HOUR, SHARD)] == [None]


def test_removing_empty_folders_while_writers_use_them_loses_no_line(
    folder: LogFolder, make_writer: MakeWriter, root: Path
) -> None:
    """A rotator removes empty folders while writers make them again."""
    done = threading.Event()
    removed: list[bytes] = []

    def clear_away() -> None:
        while not done.is_set() or folder.hours():
            for shard in folder.shards(HOUR):
                for opened in folder.open_files(HOUR, shard):
                    sealed = folder.seal(opened)
                    if (
                        sealed is not None
                    ):  # a writer may have made the file, and not come to write yet
                        removed.append(sealed.path.read_bytes())
                        folder.remove(folder.write_receipt(sealed, receipt(sealed)))

    def append(user: str) -> None:
        writer = make_writer()
        for number in range(40):
            writer.append({(user, HOUR): [line(number, user)]})

    users = ["000001", "000002", "000003"]
    with ThreadPoolExecutor(4) as threads:
        clearing = threads.submit(clear_away)
        try:
            list(threads.map(append, users))
        finally:
            done.set()
        clearing.result()
    found = sorted(text for content in removed for text in content.splitlines(keepends=True))
    assert found == sorted(line(number, user) for number in range(40) for user in users)
    assert not root.exists() or not log_files.files(root)


def test_a_folder_with_an_unknown_file_is_not_removed(folder: LogFolder, writer: LogWriter) -> None:
    sealed = seal_one(folder, writer)
    strange = sealed.path.with_name("notes.txt")
    strange.write_text("a note")
    folder.remove(folder.write_receipt(sealed, receipt(sealed)))
    assert strange.read_text() == "a note"


# One rotator at a time ----------------------------------------------------------------------------


def test_two_rotators_do_not_work_on_one_shard(folder: LogFolder, root: Path) -> None:
    with folder.rotating(HOUR, "03") as locked:
        assert locked
        with folder.rotating(HOUR, "03") as locked_again:
            assert not locked_again
        with (
            folder.rotating(HOUR, "04") as another,
            folder.rotating(NEXT_HOUR, "03") as yet_another,
        ):
            assert another
            assert yet_another
        blocked = log_files.fork(lambda: _expect(root, taken=True))
        assert log_files.outcome(blocked) == 0
    assert log_files.outcome(log_files.fork(lambda: _expect(root, taken=False))) == 0
    assert list((root / "rotating").iterdir()) == []


def _expect(root: Path, *, taken: bool) -> None:
    with LogFolder(root).rotating(HOUR, "03") as locked:
        assert locked is not taken


def test_at_most_one_of_many_has_a_shard(root: Path) -> None:
    """Also while the lock's file is removed and made again."""
    inside = 0
    had = 0
    lock = threading.Lock()

    def work(_: int) -> None:
        nonlocal inside, had
        for _ in range(40):
            with LogFolder(root).rotating(HOUR, "03") as locked:
                if locked:
                    with lock:
                        inside += 1
                        had += 1
                        assert inside == 1
                    with lock:
                        inside -= 1

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(work, range(6)))
    assert had > 6


def test_the_lock_and_the_unfinished_file_of_a_killed_rotator_are_removed(
    folder: LogFolder, writer: LogWriter, root: Path
) -> None:
    sealed = seal_one(folder, writer)
    (root / "rotating").mkdir()
    (root / "rotating" / f"{HOUR}.{SHARD}").write_text("")
    sealed.path.with_name(f".{sealed.receipt_path.name}.123.456.new").write_text("half a rec")
    with folder.rotating(HOUR, SHARD) as locked:
        assert locked
    assert [path.name for path in sealed.path.parent.iterdir()] == [sealed.path.name]
    assert list((root / "rotating").iterdir()) == []


def test_an_error_in_the_block_is_raised_and_releases_the_shard(folder: LogFolder) -> None:
    with pytest.raises(FileNotFoundError, match="of the block"), folder.rotating(HOUR, SHARD):
        raise FileNotFoundError("of the block")
    with folder.rotating(HOUR, SHARD) as locked:
        assert locked


# Quarantine ---------------------------------------------------------------------------------------


def test_the_quarantine_never_overwrites_a_file(folder: LogFolder, root: Path) -> None:
    first = folder.quarantine("some.jsonl", b"one", "it is odd")
    again = folder.quarantine("some.jsonl", b"one", "another reason")
    other = folder.quarantine("some.jsonl", b"two", "a reason")
    assert first == again != other
    assert (first.read_bytes(), other.read_bytes()) == (b"one", b"two")
    assert first.with_name(first.name + ".reason").read_text() == "it is odd\n"
    assert first.parent == root / "quarantine"
    assert len(list(first.parent.iterdir())) == 4
    assert folder.quarantine("../../up", b"", "no way out").parent == root / "quarantine"


def test_a_sealed_file_can_be_moved_into_the_quarantine(
    folder: LogFolder, writer: LogWriter
) -> None:
    sealed = seal_one(folder, writer)
    kept = folder.set_aside(sealed, "never accepted")
    assert kept.read_bytes() == line(1)
    assert folder.hours() == []
