"""`eagle-logger drain`: takes a node out of service, so that no reading is only on its disk."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import click

from eagle_logger import wiring
from eagle_logger.cli.options import with_settings
from eagle_logger.errors import ConfigurationError
from eagle_logger.logs.folder import LogFolder
from eagle_logger.rotation.parallel import RotationJob, rotate_backlog
from eagle_logger.rotation.rotation_result import RotationResult
from eagle_logger.rotation.stop_request import StopRequest
from eagle_logger.settings import Settings

_CHECK_EVERY_S = 0.2
_REPORT_EVERY_S = 5.0
"""Between two lines about what the command waits for."""
_RETRY_AFTER_S = 5.0
"""Between two tries to archive what the first one left."""
_ERRORS_SHOWN = 5
_STILL_DRAINED = (
    "The node stays drained: `eagle-logger drain` goes on, "
    "`eagle-logger drain --undo` puts it back to work."
)


@click.command()
@with_settings
@click.option("--undo", is_flag=True, help="Have the node take fetches again.")
@click.option(
    "--patience",
    type=click.FloatRange(1),
    default=300.0,
    show_default=True,
    help="Seconds without any progress after which to give up.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, 256),
    help="How many archive at once. [default: one per core]",
)
def drain(settings: Settings, *, undo: bool, patience: float, processes: int | None) -> None:
    """Empty this node: no more fetches, what is under way is finished, and everything is archived,
    open hours too.

    The workers that mount this data directory stop taking fetches within a second or two, and keep
    to that, started anew or not, until --undo; other nodes that take the same queues carry on. Exit
    0 once every reading of this disk is in the archive. May be repeated, and interrupted (Ctrl-C)
    at any moment. Needs no Redis.
    """
    if undo:
        was_drained = wiring.drain(settings).clear()
        click.echo("this node takes fetches again" if was_drained else "this node was not drained")
        return
    command = DrainCommand(settings, StopRequest(), patience=patience, processes=processes)
    sys.exit(0 if command.run() else 1)


class DrainCommand:
    """One run of the command, which prints what it does. It ends early once `stop` was asked for.
    Raises ConfigurationError without a log volume."""

    def __init__(
        self, settings: Settings, stop: StopRequest, *, patience: float, processes: int | None
    ) -> None:
        self._settings = settings
        self._folder = wiring.log_folder(settings)
        self._flag = wiring.drain(settings)
        self._stop = stop
        self._patience = patience
        self._processes = processes
        if not settings.logs_dir.is_dir():
            raise ConfigurationError(
                f"there are no log files in {settings.data_dir}: "
                "name the data directory with --data"
            )
        self._node = self._folder.node()

    def run(self) -> bool:
        """Drain, and return whether the disk is empty. Raises DiskUnavailable."""
        is_new = self._flag.set()
        before = "" if is_new else " (it was drained already)"
        _print(f"node {self._node} takes no more fetches{before}")
        is_empty = self._wait_for_fetches() and self._archive_all()
        if not is_empty:
            _print(f"{'interrupted' if self._stop.asked else 'not empty'}. {_STILL_DRAINED}")
        return is_empty

    def _wait_for_fetches(self) -> bool:
        """Whether every worker of this disk has finished its fetches."""
        _print("waiting for the fetches under way")
        if self._wait_until(
            lambda: not self._flag.is_locked(),
            report="some worker still has fetches under way",
            at_most=self._patience,
        ):
            return True
        if not self._stop.asked:
            _print(
                "a worker still holds on to this disk: look at its log, or stop it; "
                "a killed one lets go by itself"
            )
        return False

    def _archive_all(self) -> bool:
        """Whether everything was archived, trying again while something goes."""
        left, last_progress = _unarchived(self._folder), time.monotonic()
        _print(f"{left} log files to archive")
        while left:
            result = self._archive_once()
            left_before, left = left, _unarchived(self._folder)
            _print(f"{result}; {left} log files left")
            if left < left_before:
                last_progress = time.monotonic()
            if self._stop.asked or time.monotonic() - last_progress > self._patience:
                return False
            if left:
                self._wait_until(lambda: False, at_most=_RETRY_AFTER_S)
        self._index()
        self._print_empty()
        return True

    def _index(self) -> None:
        """Write into the archive's index what this disk archived. What fails can be made up for,
        so it does not keep the disk."""
        job = RotationJob(self._settings, self._settings.clock.now())
        result = job.index(lambda: self._stop.asked)
        for what, reason in result.errors.items():
            _print(f"{what}: {reason}")
        if result.errors:
            _print("the archive's index is not whole: `eagle-logger index rebuild` repairs it")

    def _archive_once(self) -> RotationResult:
        job = RotationJob(self._settings, self._settings.clock.now(), include_open=True)
        total, last_report = RotationResult(), time.monotonic()
        for _, result in rotate_backlog(job, lambda: self._stop.asked, processes=self._processes):
            total += result
            if time.monotonic() - last_report > _REPORT_EVERY_S:
                last_report = time.monotonic()
                _print(f"so far {total}")
        for cloud_id, reason in list(total.errors.items())[:_ERRORS_SHOWN]:
            _print(f"{cloud_id}: {reason}")
        return total

    def _wait_until(
        self, condition: Callable[[], bool], *, at_most: float, report: str = ""
    ) -> bool:
        """Whether the condition became true within so many seconds. `report` is printed meanwhile,
        every few seconds."""
        end = time.monotonic() + at_most
        last_report = time.monotonic()
        while not condition():
            now = time.monotonic()
            if self._stop.asked or now > end:
                return False
            if report and now - last_report > _REPORT_EVERY_S:
                last_report = now
                _print(report)
            time.sleep(_CHECK_EVERY_S)
        return True

    def _print_empty(self) -> None:
        _print(f"empty: the archive holds every reading of node {self._node}, and its disk may go")
        kept_aside = self._folder.kept_aside()
        if kept_aside:
            folder = self._settings.logs_dir / "quarantine"
            _print(f"but for {kept_aside} files in {folder}, which no archive takes: keep a copy")


def _unarchived(folder: LogFolder) -> int:
    """How many log files are not in the archive yet."""
    return sum(folder.unarchived(hour) for hour in folder.hours())


def _print(line: str) -> None:
    """Print a line after the time of day (UTC)."""
    click.echo(f"{time.strftime('%H:%M:%S', time.gmtime())}  {line}")
