from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from eagle_logger.errors import DiskUnavailable
from eagle_logger.logs.drain_flag import DRAINING, DrainFlag

HOLDER = """
import sys, time
from pathlib import Path
from eagle_logger.logs.drain_flag import DrainFlag
print("held" if DrainFlag(Path(sys.argv[1])).hold() else "refused", flush=True)
time.sleep(60)
"""


@pytest.fixture
def drain(tmp_path: Path) -> DrainFlag:
    return DrainFlag(tmp_path / "data" / "logs")


def test_a_volume_takes_readings_until_somebody_asks_for_an_end(drain: DrainFlag) -> None:
    assert not drain.is_asked()
    assert drain.ask()
    assert drain.is_asked()
    assert drain.hold() is None
    assert drain.undo()
    assert not drain.is_asked()
    assert drain.hold() is not None


def test_asking_and_undoing_may_be_repeated(drain: DrainFlag) -> None:
    assert [drain.ask(), drain.ask()] == [True, False]
    assert [drain.undo(), drain.undo()] == [True, False]


def test_it_is_held_until_the_last_of_them_lets_go(drain: DrainFlag) -> None:
    first, second = drain.hold(), drain.hold()
    assert first is not None
    assert second is not None
    drain.ask()
    assert drain.is_held()
    first.release()
    assert drain.is_held()
    second.release()
    assert not drain.is_held()


def test_looking_takes_it_from_nobody(drain: DrainFlag) -> None:
    assert drain.hold() is not None
    assert not DrainFlag(drain._root.parent / "other").is_asked()
    hold = drain.hold()
    assert hold is not None
    assert drain.is_held()
    assert drain.is_held()


def test_a_killed_process_holds_nothing(drain: DrainFlag) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(drain._root)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert drain.is_held()
        holder.kill()
    assert not drain.is_held()


def test_the_flag_says_how_it_is_taken_away(drain: DrainFlag) -> None:
    drain.ask()
    assert "eagle-logger drain --undo" in (drain._root / DRAINING).read_text()


def test_a_volume_that_refuses_is_named(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where a folder should be")
    with pytest.raises(DiskUnavailable, match="logs"):
        DrainFlag(tmp_path / "logs").hold()
