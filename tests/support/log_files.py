"""What lies in a log folder, looked at from outside; and processes that are killed at a step."""

from __future__ import annotations

import os
import signal
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from eagle_logger.core.hours import Hour
from eagle_logger.disk import crash_points
from tests.support.log_lines import HOUR, demand


def line(number: int, cloud_id: str = "002738", hour: Hour = HOUR) -> bytes:
    """A line of its own for every number."""
    return demand(number % 3600, number, cloud_id=cloud_id, hour=hour)


def files(root: Path) -> list[Path]:
    """Open and sealed log files, wherever they lie."""
    return sorted(root.glob("*/*/rainforest-*.jsonl"))


def contents(root: Path) -> bytes:
    return b"".join(path.read_bytes() for path in files(root))


def lines(root: Path) -> Counter[bytes]:
    """Every line, with its newline, and how often it is there; a torn one has none."""
    return Counter(
        text for path in files(root) for text in path.read_bytes().splitlines(keepends=True)
    )


def torn(root: Path) -> list[Path]:
    """Files that do not end with a newline."""
    return [
        path
        for path in files(root)
        if path.stat().st_size and not path.read_bytes().endswith(b"\n")
    ]


def fork(run: Callable[[], None]) -> int:
    """The pid of a child that runs this and exits 0, or 1 after a traceback."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # other threads may live in the test process; the child uses none
        pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        run()
        status = 0
    except BaseException:  # noqa: BLE001  (whatever it is, the child must not go on as a second test run)
        traceback.print_exc()
    finally:
        os._exit(status)


def outcome(pid: int) -> int:
    """The child's exit status, or minus the signal that ended it."""
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


class Killed:
    """A child that is killed -9 at its `number`th step, and what it had said by then."""

    def __init__(self, number: int, run: Callable[[Callable[[bytes], None]], None]) -> None:
        reading, writing = os.pipe()

        def say(text: bytes) -> None:
            os.write(writing, text)

        def mortal() -> None:
            os.close(reading)
            crash_points.install(at_step(number, lambda _: os.kill(os.getpid(), signal.SIGKILL)))
            run(say)

        pid = fork(mortal)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            self.said = pipe.read()
        self.outcome = outcome(pid)

    @property
    def finished(self) -> bool:
        assert self.outcome in {0, -signal.SIGKILL}, f"the child failed: {self.outcome}"
        return self.outcome == 0


def at_step(number: int, act: Callable[[str], None]) -> crash_points.Hook:
    """A hook that acts at the `number`th step, from 1."""
    passed = 0

    def hook(name: str) -> None:
        nonlocal passed
        passed += 1
        if passed == number:
            act(name)

    return hook


def killed_at_every_step(
    run: Callable[[Callable[[bytes], None]], None], before: Callable[[], None]
) -> Iterator[Killed]:
    """After `before`, a child killed at its first step; after `before` again, one killed at its
    second, and so on until one is done before it gets there."""
    number = 1
    while True:
        before()
        child = Killed(number, run)
        yield child
        if child.finished:
            return
        number += 1
