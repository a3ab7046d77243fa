"""Files are sealed while other processes append to them: no line is added to a sealed file, and
none is lost or doubled."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from eagle_logger.core.hours import Hour
from eagle_logger.logs.folder import LogFolder
from tests.integration.logs.conftest import MakeWriter
from tests.support import log_files
from tests.support.log_files import line
from tests.support.log_lines import HOUR

USERS = ["000001", "000002", "000003", "000004", "000005"]


def seal_everything(folder: LogFolder, sealed: dict[Path, bytes]) -> None:
    """Seal every open file, and record what it held then."""
    for shard in folder.shards(HOUR):
        for opened in folder.open_files(HOUR, shard):
            file = folder.seal(opened)
            if file is not None:
                assert file.path not in sealed
                sealed[file.path] = file.path.read_bytes()


@pytest.mark.parametrize("max_open", [2, 64])
def test_sealing_races_with_appending(
    folder: LogFolder, make_writer: MakeWriter, root: Path, max_open: int
) -> None:
    processes, batches = 3, 80
    sealed: dict[Path, bytes] = {}

    def batches_of(process: int) -> Iterator[dict[tuple[str, Hour], list[bytes]]]:
        for number in range(process * batches, (process + 1) * batches):
            users = USERS if number % 3 else USERS[:2]
            yield {(user, HOUR): [line(number, user)] for user in users}

    def append_all(process: int) -> None:
        writer = make_writer(shards=2, max_open=max_open)
        for batch in batches_of(process):
            writer.append(batch)

    children = [log_files.fork(partial(append_all, process)) for process in range(processes)]
    finished = threading.Event()

    def keep_sealing() -> None:
        while not finished.is_set():
            seal_everything(folder, sealed)

    with ThreadPoolExecutor(1) as pool:
        sealing = pool.submit(keep_sealing)
        try:
            assert [log_files.outcome(child) for child in children] == [0] * processes
        finally:
            finished.set()
        sealing.result()

    assert len(sealed) > len(USERS)
    for path, content in sealed.items():
        assert path.read_bytes() == content, f"{path.name} changed after it was sealed"
    seal_everything(folder, sealed)
    assert log_files.lines(root) == Counter(
        text
        for process in range(processes)
        for batch in batches_of(process)
        for texts in batch.values()
        for text in texts
    )


def test_two_sealers_seal_a_file_once(
    folder: LogFolder, make_writer: MakeWriter, root: Path
) -> None:
    writer = make_writer(shards=1)
    for number in range(30):
        writer.append({("000001", HOUR): [line(number, "000001")]})
        [opened] = folder.open_files(HOUR, "00")
        start = threading.Barrier(4, timeout=10)

        def seal(_: int, opened=opened, start=start) -> bool:  # type: ignore[no-untyped-def]
            start.wait()
            return folder.seal(opened) is not None

        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(seal, range(4))) == 1
    assert log_files.lines(root) == Counter(line(number, "000001") for number in range(30))
    assert [file.sequence for file in folder.sealed_files(HOUR, "00")] == list(range(1, 31))
