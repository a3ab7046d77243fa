"""`eagle-logger drain`: take a node out of service, so that nothing is only on its disk any more."""

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

_LOOKING = 0.2
_SAYING = 5.0
"""Seconds between two lines about what is being waited for."""
_PAUSE = 5.0
"""Seconds before what did not go is tried again."""
_STILL_DRAINED = "The node stays drained: `eagle-logger drain` goes on, `eagle-logger drain --undo` puts it back to work."


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
        was_asked = wiring.drain(settings).undo()
        click.echo("this node takes fetches again" if was_asked else "this node was not drained")
        return
    drainage = DrainCommand(settings, StopRequest(), patience=patience, processes=processes)
    sys.exit(0 if drainage.run() else 1)


class DrainCommand:
    """One run of the command, told as it goes; `stop` is asked everywhere. Raises
    ConfigurationError without a log volume."""

    def __init__(
        self, settings: Settings, stop: StopRequest, *, patience: float, processes: int | None
    ) -> None:
        self._settings = settings
        self._folder = wiring.log_folder(settings)
        self._drain = wiring.drain(settings)
        self._stop = stop
        self._patience = patience
        self._processes = processes
        if not settings.logs_dir.is_dir():
            raise ConfigurationError(
                f"there are no log files in {settings.data_dir}: name the data directory with --data"
            )
        self._node = self._folder.node()

    def run(self) -> bool:
        """Whether the disk is empty. Raises DiskUnavailable."""
        new = self._drain.ask()
        _say(f"node {self._node} takes no more fetches{'' if new else ' (it was drained already)'}")
        empty = self._await_workers() and self._archive_all()
        if not empty:
            _say(f"{'interrupted' if self._stop.asked else 'not empty'}. {_STILL_DRAINED}")
        return empty

    def _await_workers(self) -> bool:
        """Until no process has a fetch for this disk in hand."""
        _say("waiting for the fetches under way")
        if self._until(lambda: not self._drain.is_held(), "some worker still has fetches in hand"):
            return True
        if not self._stop.asked:
            _say(
                "a worker still holds on to this disk: look at its log, or stop it; a killed one lets go by itself"
            )
        return False

    def _archive_all(self) -> bool:
        left, progressed = _unarchived(self._folder), time.monotonic()
        _say(f"{left} log files to archive")
        while left:
            done = self._archive_once()
            before, left = left, _unarchived(self._folder)
            _say(f"{done}; {left} log files left")
            if left < before:
                progressed = time.monotonic()
            if self._stop.asked or time.monotonic() - progressed > self._patience:
                return False
            if left:
                self._until(lambda: False, "", patience=_PAUSE)
        self._say_empty()
        return True

    def _archive_once(self) -> RotationResult:
        job, total, said = (
            RotationJob(self._settings, self._settings.clock.now(), include_open=True),
            RotationResult(),
            time.monotonic(),
        )
        for _, one in rotate_backlog(job, lambda: self._stop.asked, processes=self._processes):
            total += one
            if time.monotonic() - said > _SAYING:
                said = time.monotonic()
                _say(f"so far {total}")
        for cloud_id, reason in list(total.errors.items())[:5]:
            _say(f"{cloud_id}: {reason}")
        return total

    def _until(
        self, condition: Callable[[], bool], what: str, *, patience: float | None = None
    ) -> bool:
        until = time.monotonic() + (self._patience if patience is None else patience)
        said = time.monotonic()
        while not condition():
            now = time.monotonic()
            if self._stop.asked or now > until:
                return False
            if what and now - said > _SAYING:
                said = now
                _say(what)
            time.sleep(_LOOKING)
        return True

    def _say_empty(self) -> None:
        _say(f"empty: the archive holds every reading of node {self._node}, and its disk may go")
        aside = self._folder.kept_aside()
        if aside:
            _say(
                f"but for {aside} files in {self._settings.logs_dir / 'quarantine'}, which no archive takes: keep a copy"
            )


def _unarchived(folder: LogFolder) -> int:
    return sum(folder.unarchived(hour) for hour in folder.hours())


def _say(text: str) -> None:
    """A line, with the time of day (UTC)."""
    click.echo(f"{time.strftime('%H:%M:%S', time.gmtime())}  {text}")
