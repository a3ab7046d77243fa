"""`eagle-logger users import`"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import BinaryIO

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from eagle_logger.cli.options import with_settings
from eagle_logger.cli.user_store_context import with_users
from eagle_logger.settings import Settings
from eagle_logger.users.importing import Imported, import_users


@click.command("import")
@with_settings
@click.argument("file", type=click.File("rb"))
def import_(settings: Settings, *, file: BinaryIO) -> None:
    """Add users from FILE, one JSON object a line.

    FILE may be - for standard input. Members: cloud_id, user_email, user_pw; if they differ from
    the fleet's, intervals ({"demand": 10, ...}) and mac_id. What `export` wrote can be imported,
    too. A line is imported whole, or refused and reported. If two lines name one user, the later
    line wins.
    """
    with _progress_bar(file) as advance:
        result = with_users(
            settings, lambda store: import_users(store.users, file, on_line=advance), passwords=True
        )
    _print_result(result)
    if result.refused:
        sys.exit(1)


@contextlib.contextmanager
def _progress_bar(file: BinaryIO) -> Iterator[Callable[[int], None]]:
    """Yields what moves the bar by so many bytes. Without a terminal, nothing is drawn."""
    console = Console(stderr=True)
    columns = (
        TextColumn("importing"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("bytes"),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("importing", total=_file_size(file))
        yield lambda size: progress.advance(task, size)


def _file_size(file: BinaryIO) -> int | None:
    """The file's bytes; None for a pipe."""
    try:
        return os.fstat(file.fileno()).st_size or None
    except (OSError, ValueError):
        return None


def _print_result(result: Imported) -> None:
    for number, complaint in sorted(result.replaced + result.refused):
        print(f"line {number}: {complaint}", file=sys.stderr)
    print(
        f"{result.users} lines imported, {len(result.refused)} refused, "
        f"{len(result.replaced)} replaced an earlier one"
    )
