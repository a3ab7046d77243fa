"""`eagle-logger tables`"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from eagle_logger import wiring
from eagle_logger.cli.click_groups import CommandGroup
from eagle_logger.cli.options import UTC_DAY, with_settings
from eagle_logger.core.table_names import Day
from eagle_logger.rotation.stop_request import StopRequest
from eagle_logger.settings import Settings
from eagle_logger.tables.table_result import RollUpResult

if TYPE_CHECKING:  # pyarrow may not be installed, and takes half a second to import
    from eagle_logger.tables.day_tables import BuiltDay
    from eagle_logger.tables.verify_day import DayVerdict

_DATE = click.option("--date", type=UTC_DAY, help="The UTC day, YYYY-MM-DD.")
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


@click.group(cls=CommandGroup)
def tables() -> None:
    """Day tables: each archived day as a few Parquet files, number for number the same."""


@tables.command()
@with_settings
@click.option(
    "--date",
    type=UTC_DAY,
    help="Build this UTC day (YYYY-MM-DD) of what is archived so far, complete or not. Without it: "
    "each day that is complete.",
)
@click.option(
    "--with-raw",
    is_flag=True,
    help="Add a column with the raw fields, as JSON. The files are three times as large.",
)
def build(settings: Settings, date: Day | None, *, with_raw: bool) -> None:
    """Build the tables of what the archive's index names and no table holds yet, and of a day that
    is over the table of what is missing.

    Reads the archive and adds files; replaces nothing. Safe beside a running system and beside
    itself; may be interrupted (Ctrl-C) and repeated. Exit 1 if an object cannot be used, or cannot
    stand in a table exactly.
    """
    stop = StopRequest()
    day_tables = wiring.day_tables(settings)
    now = settings.clock.now()
    if date is None:
        work = day_tables.work(now, [], every_day=True)
    else:
        work = [(date, bucket) for bucket in day_tables.buckets(date, now)]
    total = RollUpResult()
    with _progress(sum(map(day_tables.rows_said, {day for day, _ in work}))) as (describe, advance):
        for day, bucket in work:
            if stop.asked:
                total.stopped = True
                break
            describe(f"{day}, bucket {bucket:02d}")
            total += day_tables.build(
                day, bucket, now, with_raw=with_raw, stopping=lambda: stop.asked, on_rows=advance
            )
    for key, reason in {**total.problems, **total.refused}.items():
        print(f"{key}: {reason}", file=sys.stderr)
    print(total if work else "nothing to build")
    sys.exit(1 if total.problems or total.refused or total.stopped else 0)


@tables.command("list")
@with_settings
@_DATE
@_JSON
def list_(settings: Settings, date: Day | None, *, as_json: bool) -> None:
    """List the days that have tables."""
    for built in wiring.day_tables(settings).built(date):
        if built.manifests or built.unfinished or built.gap_files:
            print(json.dumps(_as_json(built)) if as_json else _in_words(built))


@tables.command()
@with_settings
@_DATE
@_JSON
def verify(settings: Settings, date: Day | None, *, as_json: bool) -> None:
    """Compare tables with the objects that they were made of, reading both from the archive: as
    many rows, and the same readings (an order-free hash of identity and value). Without a day: all.

    Exit 1 if anything differs.
    """
    day_tables = wiring.day_tables(settings)
    days = list(day_tables.built(date))
    with _progress(sum(day.rows for day in days)) as (describe, advance):
        verdicts = []
        for built in days:
            describe(str(built.day))
            verdicts.append(day_tables.verify(built.day, on_rows=advance))
    for verdict in verdicts:
        print(json.dumps(verdict.as_json()) if as_json else _verdict_in_words(verdict))
    sys.exit(0 if all(verdict.is_well for verdict in verdicts) else 1)


@tables.command()
@with_settings
@click.option("--date", type=UTC_DAY, required=True, help="The UTC day, YYYY-MM-DD.")
def remove(settings: Settings, date: Day) -> None:
    """Delete a day's tables. The homes' objects stay, so the day can be built again.

    Stop the workers of the queue `tables` first. On S3 it needs the right to delete below
    `parquet/`.
    """
    print(f"{wiring.day_tables(settings).remove(date)} objects deleted")


def _as_json(built: BuiltDay) -> dict[str, Any]:
    return {
        "date": built.day.date,
        "files": len(built.manifests),
        "rows": built.rows,
        "bytes": built.size,
        "refused": built.refused,
        "unfinished": len(built.unfinished),
        "gap_files": built.gap_files,
    }


def _in_words(built: BuiltDay) -> str:
    words = f"{built.day}  {len(built.manifests)} files  {built.rows} rows  {built.size} bytes"
    words += f"  {built.gap_files} files of gaps" if built.gap_files else ""
    words += f"  {built.refused} objects refused" if built.refused else ""
    return words + (f"  {len(built.unfinished)} files unfinished" if built.unfinished else "")


def _verdict_in_words(verdict: DayVerdict) -> str:
    state = "the same readings" if verdict.is_well else "NOT the same"
    counts = f"{verdict.files} files  {verdict.rows} rows  {verdict.lines} lines"
    lines = [f"{verdict.date}  {counts}  {state}"]
    lines += [f"  wrong: {reason}" for reason in verdict.wrong]
    lines += [f"  refused: {key}: {reason}" for key, reason in verdict.refused.items()]
    if verdict.not_in_tables:
        lines.append(f"  {len(verdict.not_in_tables)} objects are in no table yet")
    return "\n".join(lines)


@contextmanager
def _progress(rows: int) -> Iterator[tuple[Callable[[str], None], Callable[[int], None]]]:
    """A bar of so many rows on a terminal: a function that says what is done now, and one that
    takes how many more rows are done."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,} rows"),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("reading the index", total=rows or None)
        yield (
            lambda words: progress.update(task, description=words),
            lambda more: progress.update(task, advance=more),
        )
