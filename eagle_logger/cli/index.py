"""`eagle-logger index`"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from eagle_logger import wiring
from eagle_logger.cli.click_groups import CommandGroup
from eagle_logger.cli.options import UTC_HOUR, with_settings
from eagle_logger.core.hours import Hour
from eagle_logger.rotation.rebuild_index import RebuildProgress, RebuildResult, rebuild_index
from eagle_logger.settings import Settings


@click.group(cls=CommandGroup)
def index() -> None:
    """The archive's index: which objects hold an hour."""


@index.command()
@with_settings
@click.option(
    "--since",
    type=UTC_HOUR,
    default=Hour(0),
    help="Only hours from this UTC day (YYYY-MM-DD) or hour (YYYY-MM-DD-HH) on.",
)
@click.option("--until", type=UTC_HOUR, help="Only hours before this UTC day or hour.")
def rebuild(settings: Settings, since: Hour, until: Hour | None) -> None:
    """Index what no index object names: an archive from before there was an index, or what a lost
    disk had archived.

    Lists the archive once, and asks about each object that is not indexed. Changes nothing that is
    there; safe beside a running system. May be interrupted (Ctrl-C) and repeated: it goes on with
    what is left. The last three hours are left to the rotators. Exit 1 if an object cannot be
    indexed.
    """
    with tempfile.TemporaryDirectory(prefix="eagle-logger-") as directory, _progress() as show:
        result = rebuild_index(
            wiring.archive(settings),
            Path(directory),
            now=settings.clock.now(),
            since=since,
            until=until,
            on_progress=show,
        )
    for key, reason in result.left_out.items():
        print(f"{key}: {reason}", file=sys.stderr)
    print(_in_words(result))
    sys.exit(1 if result.left_out else 0)


def _in_words(result: RebuildResult) -> str:
    return (
        f"{result.entries} objects of {result.hours} hours indexed, in {result.index_objects} "
        f"index objects; {len(result.left_out)} cannot be indexed"
    )


@contextmanager
def _progress() -> Iterator[Callable[[RebuildProgress], None]]:
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("hours"),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("listing", total=None)

        def show(so_far: RebuildProgress) -> None:
            doing = "indexing" if so_far.hours else f"listing: {so_far.listed} objects"
            progress.update(
                task,
                description=doing,
                total=so_far.hours or None,
                completed=so_far.hours_done,
            )

        yield show
