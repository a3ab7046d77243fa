"""What lies in a log folder, read without the product's code, and processes killed at a step."""

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
    """A different line for every number."""
    return demand(number % 3600, number, cloud_id=cloud_id, hour=hour)


def files(root: Path) -> list[Path]:
    """The open and sealed log files of every hour and shard."""
    return sorted(root.glob("*/*/rainforest-*.jsonl"))


def contents(root: Path) -> bytes:
    return b"".join(path.read_bytes() for path in files(root))


def lines(root: Path) -> Counter[bytes]:
    """Every line with its newline, and how often it occurs; a torn line has no newline."""
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
        # The test process may have other threads; the child uses none of them.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        run()
        status = 0
    except BaseException:  # noqa: BLE001  (the child must not go on as a second test run)
        traceback.print_exc()
    finally:
        os._exit(status)


def outcome(pid: int) -> int:
    """The child's exit status, or minus the signal that ended it."""
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


class Killed:
    """A child process that is killed with SIGKILL at its `number`th step.

    `run` gets a function through which it reports what it has done; `reported` holds all of that.
    """

    def __init__(self, number: int, run: Callable[[Callable[[bytes], None]], None]) -> None:
        reading, writing = os.pipe()

        def report(done: bytes) -> None:
            os.write(writing, done)

        def run_until_killed() -> None:
            os.close(reading)
            crash_points.install(at_step(number, lambda _: os.kill(os.getpid(), signal.SIGKILL)))
            run(report)

        pid = fork(run_until_killed)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            self.reported = pipe.read()
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
    """A child killed at its first step, then one killed at its second, and so on, until one
    finishes before its step comes. `before` is called before each child."""
    number = 1
    while True:
        before()
        child = Killed(number, run)
        yield child
        if child.finished:
            return
        number += 1
