"""`eagle-logger energy`"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from datetime import tzinfo
from decimal import Decimal
from typing import Any

import click

from eagle_logger import wiring
from eagle_logger.cli.options import CLOUD_ID, ZONE, moment_option, with_settings
from eagle_logger.cli.terminal_text import harmless, print_json
from eagle_logger.core.energy import EnergyRow
from eagle_logger.core.hours import iso
from eagle_logger.core.line_format import number_text
from eagle_logger.core.local_time import Span
from eagle_logger.inspection.home_energy import EnergyPeriod, energy_of_home
from eagle_logger.inspection.user_readings import UserReadings
from eagle_logger.settings import Settings

_ROW = "{:22}  {:>5}  {:>12}  {:>12}  {:>12}  {:>12}  {:18}  {}"


@click.command()
@click.argument("cloud_id", type=CLOUD_ID)
@moment_option("--since", default="7d", help="From this moment on (default: 7d, a week ago).")
@moment_option("--until", default="now", help="Only before this moment (default: now).")
@click.option(
    "--by",
    "span",
    type=click.Choice([str(span) for span in Span]),
    default=str(Span.DAY),
    show_default=True,
    help="How long the periods are.",
)
@click.option(
    "--zone",
    type=ZONE,
    default="UTC",
    show_default=True,
    metavar="ZONE",
    help="Whose hours and days: a name of the IANA database, such as America/New_York.",
)
@click.option("--json", "as_json", is_flag=True, help="A line of JSON for each row.")
@with_settings
def energy(
    settings: Settings,
    cloud_id: str,
    *,
    since: Callable[[float], float],
    until: Callable[[float], float],
    span: str,
    zone: tzinfo,
    as_json: bool,
) -> None:
    """How much energy a home took and gave, in kWh, by hour or day of a time zone.

    Counted from one summation of the meter to another, never between them: a row counts from the
    last summation before the period to the last one in it. Beside it stands the integral of demand
    over the same time, and the difference. Flags say what to doubt: docs/how-to/energy-and-gaps.md
    explains them. Whole periods are shown: the first is the one that --since lies in.
    """
    now = settings.clock.now()
    history = UserReadings(cloud_id, wiring.log_folder(settings), wiring.archive(settings))
    period = EnergyPeriod(since(now), min(until(now), now), now, Span(span), zone)
    _print_rows(energy_of_home(history, period), as_json=as_json)
    if history.unreadable:
        print(f"lines or objects that could not be read: {history.unreadable}", file=sys.stderr)


def _print_rows(rows: Iterator[EnergyRow], *, as_json: bool) -> None:
    print_row = _print_json if as_json else _row_printer()
    for row in rows:
        print_row(row)
    sys.stdout.flush()


def energy_members(row: EnergyRow) -> dict[str, Any]:
    """The row as it is printed; docs/reference/data-dictionary.md describes the members."""
    return {
        "period": row.period.name,
        "hours": Decimal(row.period.seconds) / 3600,
        "meter": row.meter,
        "delivered": row.delivered,
        "received": row.received,
        "demand": row.demand,
        "difference": row.difference,
        "begin": iso(row.begin),
        "end": iso(row.end),
        "demand_seconds": row.demand_seconds,
        "flags": sorted(map(str, row.flags)),
    }


def _print_json(row: EnergyRow) -> None:
    members = ",".join(f'"{name}":{_json(value)}' for name, value in energy_members(row).items())
    print_json(f"{{{members}}}\n".encode())


def _json(value: object) -> str:
    """JSON of a value, with exact numbers."""
    return number_text(value) if isinstance(value, Decimal) else json.dumps(value)


def _row_printer() -> Callable[[EnergyRow], None]:
    """Prints a table on a terminal. In a pipe it prints all members, separated by tabs, without a
    head."""
    if not sys.stdout.isatty():
        return lambda row: print("\t".join(map(_cell, energy_members(row).values())))
    head = ("from", "hours", "taken kWh", "given kWh", "demand kWh", "difference", "meter", "flags")
    click.secho(_ROW.format(*head), bold=True)
    return lambda row: print(_ROW.format(*_columns_of(row)).rstrip())


def _cell(value: object) -> str:
    if isinstance(value, list):
        return " ".join(value)
    if isinstance(value, Decimal):
        return number_text(value)
    return "" if value is None else harmless(str(value))


def _columns_of(row: EnergyRow) -> tuple[str, ...]:
    members = energy_members(row)
    names = ("period", "hours", "delivered", "received", "demand", "difference", "meter", "flags")
    return tuple(_cell(members[name]) or "-" for name in names)
