"""Rotates all that a log volume has to rotate, in several processes.

Archiving keeps one interpreter busy long before the archive is busy.
"""

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
from eagle_logger.rotation.hours_to_rotate import hours_to_rotate
from eagle_logger.rotation.index_hours import IndexResult, index_hours
from eagle_logger.rotation.rotate_shard import rotate_shard
from eagle_logger.rotation.rotation_result import RotationResult
from eagle_logger.rotation.rotation_rules import RotationRules
from eagle_logger.settings import Settings

Shard = tuple[Hour, str]
Stopping = Callable[[], bool]

_FILES_WORTH_A_PROCESS = 200
"""Log files that take longer to archive than a process takes to start."""
_STOPPING_CHECKED_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class RotationJob:
    """What is to be done with the log volume of these settings, and when "now" is."""

    settings: Settings
    now: float
    include_open: bool = False

    def rules(self) -> RotationRules:
        return RotationRules(
            wiring.log_folder(self.settings),
            self.now,
            grace=self.settings.rotate_grace,
            retention=self.settings.local_retention,
            include_open=self.include_open,
            heed_pauses=False,  # a person waits, and may just have repaired the cause
        )

    def plan(self) -> list[Shard]:
        return hours_to_rotate(self.rules())

    def count_files(self, work: list[Shard]) -> int:
        """About how many log files these shards have to archive."""
        folder = wiring.log_folder(self.settings)
        return sum(folder.unarchived(hour) for hour in {hour for hour, _ in work})

    def index(self, stopping: Stopping) -> IndexResult:
        """Write into the archive's index what was archived, at once: a person waits."""
        archive = wiring.archive(self.settings)
        return index_hours(self.rules(), archive, at_once=True, stopping=stopping)

    def rotator(self) -> Callable[[Shard, Stopping], RotationResult]:
        """A function for one process. It rotates one shard of an hour; once the archive is away, it
        archives nothing more."""
        rules, archive = self.rules(), wiring.archive(self.settings)
        reach = ArchiveReach(lambda: archive, left_alone_for=math.inf)

        def rotate(shard: Shard, stopping: Stopping) -> RotationResult:
            return rotate_shard(rules, archive, *shard, stopping=stopping, reach=reach)

        return rotate


def rotate_backlog(
    job: RotationJob, stopping: Stopping, *, processes: int | None = None
) -> Iterator[tuple[Shard, RotationResult]]:
    """Rotate everything, oldest hour first. If there is enough to do, it takes `processes`
    processes, by default one per core.

    Safe beside rotators: a shard that another process rotates comes back as `busy`. When `stopping`
    returns True, or the archive is away, the rest comes back as `deferred`. Raises EagleError if
    one of the processes dies.
    """
    work = job.plan()
    most = processes or os.cpu_count() or 1
    processes = min(most, len(work), 1 + job.count_files(work) // _FILES_WORTH_A_PROCESS)
    if processes > 1:
        yield from _rotate_in_processes(job, work, stopping, processes)
    elif work:
        rotate = job.rotator()
        yield from ((shard, rotate(shard, stopping)) for shard in work)


def _rotate_in_processes(
    job: RotationJob, work: list[Shard], stopping: Stopping, processes: int
) -> Iterator[tuple[Shard, RotationResult]]:
    context = multiprocessing.get_context("spawn")  # a fork would be unsafe: there may be threads
    stop = context.Event()
    with (
        ProcessPoolExecutor(processes, context, _start_process, (job, stop)) as pool,
        _set_when(stopping, stop),
    ):
        try:
            yield from zip(work, pool.map(_rotate_in_this_process, work), strict=True)
        except BrokenProcessPool:
            raise EagleError(
                "a rotating process was killed; nothing is lost: rotate again"
            ) from None
        finally:
            stop.set()


@contextmanager
def _set_when(stopping: Stopping, stop: Event) -> Iterator[None]:
    """While the context lasts, set `stop` as soon as `stopping` returns True."""
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(_STOPPING_CHECKED_EVERY_S):
            if stopping():
                stop.set()

    watcher = threading.Thread(target=watch, name="stopping", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        watcher.join()


# In the other processes: --------------------------------------------------------------------------

_rotate_one: Callable[[Shard], RotationResult] | None = None


def _start_process(job: RotationJob, stop: Event) -> None:
    global _rotate_one  # noqa: PLW0603  (a pool gives its tasks no other way to what the process keeps)
    # Ctrl-C reaches all processes. Only the one that started them heeds it, and sets `stop`.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    rotate = job.rotator()
    _rotate_one = lambda shard: rotate(shard, stop.is_set)  # noqa: E731


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _rotate_in_this_process(shard: Shard) -> RotationResult:
    assert _rotate_one is not None
    return _rotate_one(shard)
