"""What "healthy" means, of one process and of the system. Pure.

A process is healthy if it makes progress; that it lives proves nothing. Every process notes its
progress in Redis (`Fleet.note_progress`), and a worker also notes its signs of life in memory.
`eagle-logger doctor` and `eagle-logger healthcheck`, `/readyz`, `eagle-logger up` and a worker's
watchdog judge those notes by what stands here; docs/explanation/stopping-and-health.md says who
does so, and what follows.
"""

from __future__ import annotations

from collections.abc import Mapping

from eagle_logger.broker_queues import DISPATCH
from eagle_logger.users.store import Totals

OK = "ok"

DISPATCH_SILENT_AFTER_S = 30.0
"""Real seconds. Beat asks for a dispatch every second."""
PROCESS_SILENT_AFTER_S = 60.0
"""Real seconds. Processes note their progress every few seconds."""

LOOP_HANGS_AFTER_S = 30.0
"""Seconds that a worker's event loop may stand still."""
CONSUMER_HANGS_AFTER_S = 90.0
"""Seconds that Celery's consumer may stand still while Redis answers. It takes up to 30 to leave
half-open connections."""
TASK_HANGS_AFTER_S = 1260.0
"""Seconds that a task may take. By then the broker has given its message to another worker."""

_NOT_FETCHING = ("rotat", "tables", "sqs", "bridge", "beat", "dispatch")
"""The beginnings of the names of processes that do not fetch."""

Progress = Mapping[str, Mapping[str, str | int | float]]
"""The last note of each process. `at` is its time, in the user store's seconds."""


def progress_age(progress: Progress, process: str, now: float) -> float | None:
    """Seconds since the process noted progress; None if it has not within the hour, for the store
    forgets older notes."""
    note = progress.get(process)
    return None if note is None else max(0.0, now - float(note["at"]))


def is_silent(progress: Progress, process: str, now: float, silent_after: float) -> bool:
    age = progress_age(progress, process, now)
    return age is None or age > silent_after


def worker_silent_after(demand_interval: float) -> float:
    """Real seconds without progress of any fetching process after which the system is not ready."""
    return max(60.0, 3 * demand_interval)


def kind_of_process(name: str) -> str:
    """The kind of a process, from the name under which it notes progress."""
    return next((kind for kind in _NOT_FETCHING if name.startswith(kind)), "fetch")


def dispatch_check(progress: Progress, now: float, silent_after: float) -> str:
    """Whether beat and the dispatcher work. Neither does anything without the other."""
    age = progress_age(progress, DISPATCH, now)
    if age is None:
        return "nothing was dispatched within the hour: are beat and the dispatcher running?"
    if age > silent_after:
        return f"last dispatch {age:.0f} s ago: beat or the dispatcher hangs"
    return OK


def worker_check(progress: Progress, totals: Totals, now: float, silent_after: float) -> str:
    """Whether at least one fetching process works. None needs to if there is nobody to fetch."""
    if totals.users == totals.parked:
        return OK
    ages = [
        age
        for name in progress
        if kind_of_process(name) == "fetch"
        and (age := progress_age(progress, name, now)) is not None
    ]
    if not ages:
        return "no fetching process has reported within the hour"
    if min(ages) > silent_after:
        return f"no fetching process has reported for {min(ages):.0f} s"
    return OK


def fetch_check(stalled: float, stalled_after: float) -> str:
    """Whether users are fetched. A worker may live and report, yet consume nothing."""
    if stalled > stalled_after:
        return f"users wait, and none was fetched for {stalled:.0f} s: do the workers consume?"
    return OK


class StallDetector:
    """For how long users have waited without any being fetched."""

    def __init__(self) -> None:
        self._fetches = -1
        self._since = 0.0

    def stalled(self, fetches: int, totals: Totals, now: float) -> float:
        """Seconds, as of now. `fetches`: the system's counter; `now`: any clock that only goes
        forward. To be called every few seconds."""
        if fetches != self._fetches or not (totals.leased or totals.overdue):
            self._fetches, self._since = fetches, now
        return now - self._since


def hanging_part(
    *, loop_silence: float, consumer_silence: float, longest_task: float
) -> str | None:
    """Which part of a worker process hangs, in words; None if none does. All are seconds;
    `consumer_silence` counts only while Redis answers, because the consumer waits for Redis."""
    if loop_silence > LOOP_HANGS_AFTER_S:
        return f"the event loop has stood still for {loop_silence:.0f} s"
    if consumer_silence > CONSUMER_HANGS_AFTER_S:
        return f"Celery's consumer has stood still for {consumer_silence:.0f} s"
    if longest_task > TASK_HANGS_AFTER_S:
        return f"a task has not ended for {longest_task:.0f} s"
    return None
