"""All that one disk has to rotate, in several processes: one interpreter is busy long before the
archive is."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Event

from eagle_logger import wiring
from eagle_logger.core.hours import Hour
from eagle_logger.errors import EagleError
from eagle_logger.rotation.archive_reach import ArchiveReach
from eagle_logger.rotation.rotate_shard import hours_to_rotate, rotate_shard
from eagle_logger.rotation.rotation_result import RotationResult
from eagle_logger.settings import Settings

Shard = tuple[Hour, str]
Stopping = Callable[[], bool]

_WORTH_A_PROCESS = 200
"""Log files that take longer to archive than a process takes to start."""
_ASKING = 0.2
"""Seconds between two looks at whether it is time to stop."""


@dataclass(frozen=True, slots=True)
class RotationJob:
    """What is to be done with the log volume of these settings, and when "now" is."""

    settings: Settings
    now: float
    include_open: bool = False

    def plan(self) -> list[Shard]:
        settings = self.settings
        return hours_to_rotate(
            wiring.log_folder(settings),
            self.now,
            grace=settings.rotate_grace,
            retention=settings.local_retention,
            include_open=self.include_open,
            heed_pauses=False,  # a person waits for the result, and may just have repaired the cause
        )

    def files(self, work: list[Shard]) -> int:
        """About how many log files that is."""
        folder = wiring.log_folder(self.settings)
        return sum(folder.unarchived(hour) for hour in {hour for hour, _ in work})

    def rotator(self) -> Callable[[Shard, Stopping], RotationResult]:
        """A function for one process. It rotates one shard of an hour; once the archive is away, it
        archives nothing more."""
        folder, archive = wiring.log_folder(self.settings), wiring.archive(self.settings)
        reach = ArchiveReach(lambda: archive, rest=math.inf)

        def rotate(shard: Shard, stopping: Stopping) -> RotationResult:
            return rotate_shard(
                folder,
                archive,
                *shard,
                self.now,
                grace=self.settings.rotate_grace,
                retention=self.settings.local_retention,
                include_open=self.include_open,
                heed_pauses=False,
                stopping=stopping,
                reach=reach,
            )

        return rotate


def rotate_backlog(
    job: RotationJob, stopping: Stopping, *, processes: int | None = None
) -> Iterator[tuple[Shard, RotationResult]]:
    """Do all of it, oldest hour first: if it is worth it in several processes, one per core unless
    told otherwise.

    Safe beside rotators: a shard that another process rotates comes back as `busy`. When `stopping`
    returns True, or the archive is away, the rest comes back as `deferred`. Raises EagleError if
    one of the processes dies.
    """
    work = job.plan()
    processes = min(
        processes or os.cpu_count() or 1, len(work), 1 + job.files(work) // _WORTH_A_PROCESS
    )
    if processes > 1:
        yield from _in_processes(job, work, stopping, processes)
    elif work:
        rotate = job.rotator()
        yield from ((shard, rotate(shard, stopping)) for shard in work)


def _in_processes(
    job: RotationJob, work: list[Shard], stopping: Stopping, processes: int
) -> Iterator[tuple[Shard, RotationResult]]:
    context = multiprocessing.get_context("spawn")  # not forked: whoever calls may have threads
    stop = context.Event()
    with (
        ProcessPoolExecutor(processes, context, _begin, (job, stop)) as pool,
        _passed_on(stopping, stop),
    ):
        try:
            yield from zip(work, pool.map(_rotate, work), strict=True)
        except BrokenProcessPool:
            raise EagleError(
                "a rotating process was killed; nothing is lost: rotate again"
            ) from None
        finally:
            stop.set()


@contextmanager
def _passed_on(stopping: Stopping, stop: Event) -> Iterator[None]:
    """While the context lasts, tell the other processes when it is time to stop."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(_ASKING):
            if stopping():
                stop.set()

    looking = threading.Thread(target=look, name="stopping", daemon=True)
    looking.start()
    try:
        yield
    finally:
        over.set()
        looking.join()


# In the other processes ---------------------------------------------------------------------------------------------------

_rotator: Callable[[Shard], RotationResult] | None = None


def _begin(job: RotationJob, stop: Event) -> None:
    global _rotator  # noqa: PLW0603  (a pool gives its tasks no other way to what the process keeps)
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches all; the first process asks us to stop between two users
    threading.Thread(target=_end_with_parent, daemon=True).start()
    rotate = job.rotator()
    _rotator = lambda shard: rotate(shard, stop.is_set)  # noqa: E731


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _rotate(shard: Shard) -> RotationResult:
    assert _rotator is not None
    return _rotator(shard)
