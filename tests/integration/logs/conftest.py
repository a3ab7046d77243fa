from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from eagle_logger.disk import crash_points
from eagle_logger.logs.folder import LogFolder
from eagle_logger.logs.writer import LogWriter


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data" / "logs"


@pytest.fixture
def folder(root: Path) -> LogFolder:
    return LogFolder(root)


MakeWriter = Callable[..., LogWriter]


@pytest.fixture
def make_writer(root: Path) -> Iterator[MakeWriter]:
    """A LogWriter on the root, closed at the end."""
    made: list[LogWriter] = []

    def make(*, shards: int = 4, max_open: int = 64, min_free_disk: int = 0) -> LogWriter:
        made.append(LogWriter(root, shards=shards, max_open=max_open, min_free_disk=min_free_disk))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def writer(make_writer: MakeWriter) -> LogWriter:
    return make_writer()


@pytest.fixture
def without_syncfs(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file system whose `syncfs` hides write errors."""
    monkeypatch.setattr("eagle_logger.logs.writer.reports_errors", lambda _: False)


@pytest.fixture(autouse=True)
def no_hook_is_left() -> Iterator[None]:
    yield
    crash_points.install(None)
