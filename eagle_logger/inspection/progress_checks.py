"""Checks that the system makes progress, for `/readyz` and `doctor`. Pure.

Each check returns `OK`, or says what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping

from eagle_logger.users.store import Totals

OK = "ok"
DISPATCH = "dispatch"
"""The name under which the task `dispatch` reports its progress."""
DISPATCH_PATIENCE = 30.0
"""Real seconds. Beat asks for a dispatch every second."""

_NOT_FETCHING = ("rotat", "sqs", "bridge", "beat", "dispatch")
"""The beginnings of the names of processes that do not fetch."""

Progress = Mapping[str, Mapping[str, str | int | float]]
"""What each process last reported, by its name; `at` is when."""


def worker_patience(demand_interval: float) -> float:
    """Real seconds without progress of any fetching process after which the system is not ready."""
    return max(60.0, 3 * demand_interval)


def kind_of_process(name: str) -> str:
    """The kind of a process, from the name under which it reports."""
    return next((kind for kind in _NOT_FETCHING if name.startswith(kind)), "fetch")


def fetch_check(stalled: float, patience: float) -> str:
    """Whether users are fetched. A worker may live and report, yet consume nothing. `stalled` is
    how long (seconds) users have waited while none was fetched."""
    if stalled <= patience:
        return OK
    return f"users wait, and none was fetched for {stalled:.0f} s: do the workers consume?"


def dispatch_check(progress: Progress, now: float, patience: float) -> str:
    """Whether beat and the dispatcher work. Neither does anything without the other."""
    if DISPATCH not in progress:
        return "nothing was dispatched within the hour: are beat and the dispatcher running?"
    age = now - float(progress[DISPATCH]["at"])
    return OK if age <= patience else f"last dispatch {age:.0f} s ago: beat or the dispatcher hangs"


def worker_check(progress: Progress, totals: Totals, now: float, patience: float) -> str:
    """Whether a fetching process has reported; one is enough."""
    if totals.users == totals.parked:
        return OK
    ages = [
        now - float(report["at"])
        for name, report in progress.items()
        if kind_of_process(name) == "fetch"
    ]
    if not ages:
        return "no fetching process has reported within the hour"
    if min(ages) <= patience:
        return OK
    return f"no fetching process has reported for {min(ages):.0f} s"
