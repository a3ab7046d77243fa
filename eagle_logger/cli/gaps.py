"""`eagle-logger gaps`"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from eagle_logger import wiring
from eagle_logger.cli.options import CLOUD_ID, UTC_DAY, moment_option, with_settings
from eagle_logger.cli.terminal_text import harmless, print_json
from eagle_logger.core.gaps import GapRow
from eagle_logger.core.hours import iso
from eagle_logger.core.table_names import Day
from eagle_logger.errors import RedisUnavailable, UnknownUser
from eagle_logger.inspection.home_gaps import GapPeriod, GapsOfHomes, homes_of_period
from eagle_logger.settings import Settings

_ROW = "{:8}  {:14}  {:10}  {:>6}  {:>8}  {:>11}  {:20}  {}"


@click.command()
@click.argument("cloud_id", type=CLOUD_ID, required=False)
@moment_option("--since", default="1d", help="From this moment on (default: 1d, a day ago).")
@moment_option("--until", default="now", help="Only before this moment (default: now).")
@click.option(
    "--date",
    "day",
    type=UTC_DAY,
    help="Of all homes on this UTC day, from the day tables: fast, whatever the fleet.",
)
@click.option("--all", "with_all", is_flag=True, help="Also hours of which nothing is missing.")
@click.option("--json", "as_json", is_flag=True, help="A line of JSON for each row.")
@click.option(
    "--parquet",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write all rows into this Parquet file, also of hours of which nothing is missing.",
)
@with_settings
def gaps(
    settings: Settings,
    cloud_id: str | None,
    *,
    since: Callable[[float], float],
    until: Callable[[float], float],
    day: Day | None,
    with_all: bool,
    as_json: bool,
    parquet: Path | None,
) -> None:
    """Which readings are missing: for each home, hour and kind, how many its meter's rhythm lets
    expect, how many there are, the longest gap and, as far as what is stored tells, why.

    Without a cloud id, of all homes, one after the other. That reads every reading of the period:
    for a large fleet, give a --date of which there are day tables. A home that never had a reading
    is not shown; `eagle-logger status` names it.
    """
    if day is not None and cloud_id is not None:
        raise click.UsageError("give a home or --date, not both")
    now = settings.clock.now()
    period = GapPeriod(since(now), min(until(now), now), now, settings.rotate_grace)
    rows = _rows(settings, cloud_id, period) if day is None else _rows_of_day(settings, day)
    if parquet is not None:
        print(f"{wiring.gap_file_writer()(parquet, rows)} rows in {parquet}")
        return
    print_row = _print_json if as_json else _row_printer()
    for row in rows:
        if with_all or row.why is not None:
            print_row(row)
    sys.stdout.flush()


def _rows(settings: Settings, cloud_id: str | None, period: GapPeriod) -> Iterator[GapRow]:
    archive = wiring.archive(settings)
    gaps_of_homes = GapsOfHomes(wiring.log_folder(settings), archive, period)
    if cloud_id is not None:
        yield from gaps_of_homes.of(cloud_id)
        return
    homes = sorted(homes_of_period(archive, period) | asyncio.run(_registered(settings)))
    with _progress(len(homes)) as advance:
        for home in homes:
            with suppress(UnknownUser):  # without any reading, none is missing by its own rhythm
                yield from gaps_of_homes.of(home)
            advance()


def _rows_of_day(settings: Settings, day: Day) -> Iterator[GapRow]:
    tables = wiring.day_tables(settings)
    if not any(built.manifests for built in tables.built(day)):
        raise click.BadParameter(
            f"{day} has no tables: `eagle-logger tables build --date {day}` makes them",
            param_hint="--date",
        )
    return tables.gaps(day)


async def _registered(settings: Settings) -> set[str]:
    """The users in Redis. Without Redis: none, with a note."""
    store = wiring.user_store(settings, passwords=False)
    try:
        return {user.cloud_id async for batch in store.users.outlines() for user in batch}
    except RedisUnavailable as exc:
        print(f"only homes with readings of this period are shown: {exc}", file=sys.stderr)
        return set()
    finally:
        await store.close()


@contextmanager
def _progress(homes: int) -> Iterator[Callable[[], None]]:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("homes", total=homes)
        yield lambda: progress.advance(task)


def gap_members(row: GapRow) -> dict[str, Any]:
    """The row as it is printed; docs/reference/data-dictionary.md describes the members."""
    return {
        "cloud_id": row.cloud_id,
        "hour": iso(row.hour.start),
        "device": row.stream.device,
        "meter": row.stream.meter,
        "kind": str(row.stream.kind),
        "had": row.had,
        "expected": row.expected,
        "missing": row.missing,
        "rhythm": row.rhythm,
        "longest_gap": row.longest_gap,
        "gap_begin": iso(row.gap_begin),
        "why": None if row.why is None else str(row.why),
    }


def _print_json(row: GapRow) -> None:
    print_json(json.dumps(gap_members(row), separators=(",", ":")).encode() + b"\n")


def _row_printer() -> Callable[[GapRow], None]:
    """Prints a table on a terminal. In a pipe it prints all members, separated by tabs, without a
    head."""
    if not sys.stdout.isatty():
        return lambda row: print(
            "\t".join("" if value is None else str(value) for value in gap_members(row).values())
        )
    head = _ROW.format(
        "home", "hour (UTC)", "kind", "had", "expected", "longest gap", "from", "why"
    )
    click.secho(head, bold=True)
    return lambda row: print(_ROW.format(*_columns_of(row)).rstrip())


def _columns_of(row: GapRow) -> tuple[str, ...]:
    return (
        row.cloud_id,
        row.hour.name,
        harmless(str(row.stream.kind)),
        str(row.had),
        "?" if row.expected is None else str(row.expected),
        f"{row.longest_gap} s",
        iso(row.gap_begin),
        str(row.why or ""),
    )
