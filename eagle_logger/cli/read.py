"""`eagle-logger read`"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

import click

from eagle_logger import wiring
from eagle_logger.cli.options import CLOUD_ID, with_settings
from eagle_logger.cli.terminal_text import harmless, print_json
from eagle_logger.core.hours import Hour, iso
from eagle_logger.core.kinds import KINDS
from eagle_logger.core.line_format import ParsedLine, number_text, parse_line
from eagle_logger.core.time_arguments import moment_of
from eagle_logger.errors import ArchiveUnavailable, UnknownUser
from eagle_logger.inspection.user_readings import UserReadings
from eagle_logger.settings import Settings

_TABLE_ROW = "{:20}  {:9}  {:<32}  {:18}  {}"


@click.command()
@click.argument("cloud_id", type=CLOUD_ID)
@click.option(
    "--since",
    metavar="WHEN",
    help="Only from this moment on: 2026-03-10T17:00Z, Unix seconds, or how long ago, such as 2h.",
)
@click.option("--until", metavar="WHEN", help="Only before this moment, written likewise.")
@click.option(
    "--last", "count", type=click.IntRange(min=1), metavar="N", help="Only the newest N of them."
)
@click.option("--json", "as_json", is_flag=True, help="The log lines themselves.")
@with_settings
def read(
    settings: Settings,
    cloud_id: str,
    *,
    since: str | None,
    until: str | None,
    count: int | None,
    as_json: bool,
) -> None:
    """A user's readings from open, sealed and archived files: in order of time, each once.

    A reading whose gateway's clock was too wrong to be believed stands where it arrived. When the
    archive does not answer, the command shows the readings on this disk and exits with 1.
    """
    now = settings.clock.now()
    period = _Period(
        -math.inf if since is None else _parse_moment("--since", since, now),
        math.inf if until is None else _parse_moment("--until", until, now),
    )
    history = UserReadings(cloud_id, wiring.log_folder(settings), wiring.archive(settings))
    archive_error = None
    try:
        hours = history.hours()
    except ArchiveUnavailable as exc:
        archive_error, history = exc, replace(history, archive=None)
        hours = history.hours()
    if not hours:
        raise archive_error or UnknownUser(
            f"Nothing was ever logged for {cloud_id}; `eagle-logger users list` shows all users."
        )
    lines: Iterable[bytes] = _lines_in(period, history, hours)
    if count is not None:
        lines = _newest_lines_in(period, history, hours, count)
    print_line = _print_as_logged if as_json else _row_printer()
    for line in lines:
        print_line(line)
    sys.stdout.flush()
    if history.unreadable:
        left_out = "1 line" if history.unreadable == 1 else f"{history.unreadable} lines"
        verb = "was" if history.unreadable == 1 else "were"
        print(f"{left_out} could not be read and {verb} left out", file=sys.stderr)
    if archive_error:
        print(f"only what lies on this disk is shown: {archive_error}", file=sys.stderr)
        sys.exit(1)


def _parse_moment(option: str, argument: str, now: float) -> float:
    try:
        return moment_of(argument, now)
    except ValueError as exc:
        raise click.BadParameter(str(exc), param_hint=option) from None


@dataclass(frozen=True, slots=True)
class _Period:
    """From `start` until before `end`, in Unix seconds."""

    start: float
    end: float

    def touches(self, hour: Hour) -> bool:
        return hour.end > self.start and hour.start < self.end

    def covers(self, hour: Hour) -> bool:
        return self.start <= hour.start and hour.end <= self.end

    def holds(self, line: ParsedLine) -> bool:
        return self.start <= line.moment < self.end


def _lines_in(period: _Period, history: UserReadings, hours: list[Hour]) -> Iterator[bytes]:
    for hour in filter(period.touches, hours):
        for line in history.lines(hour):
            if period.covers(hour) or period.holds(parse_line(line)):
                yield line


def _newest_lines_in(
    period: _Period, history: UserReadings, hours: list[Hour], count: int
) -> list[bytes]:
    """The last `count` lines of the period. It reads the newest hour first, and no more hours than
    it needs."""
    lines: list[bytes] = []
    for hour in reversed(hours):
        if len(lines) >= count:
            break
        lines = [*_lines_in(period, history, [hour]), *lines]
    return lines[-count:]


def _print_as_logged(line: bytes) -> None:
    print_json(line + b"\n")


def _row_printer() -> Callable[[bytes], None]:
    """Prints a table on a terminal. In a pipe it prints the same columns, separated by tabs,
    without a head."""
    if not sys.stdout.isatty():
        return lambda line: print("\t".join(_columns_of(parse_line(line))))
    click.secho(_TABLE_ROW.format("time (UTC)", "kind", "reading", "meter", "flags"), bold=True)
    return lambda line: print(_TABLE_ROW.format(*_columns_of(parse_line(line))).rstrip())


def _columns_of(line: ParsedLine) -> tuple[str, ...]:
    columns = (
        iso(line.time),
        line.identity.kind,
        values_in_words(line),
        line.identity.meter or "-",
        " ".join(sorted(line.flags)),
    )
    # A gateway may send anything: line breaks, and characters that could steer a terminal.
    return tuple(harmless(" ".join(column.split())) for column in columns)


def values_in_words(line: ParsedLine) -> str:
    """The values of a reading as a person reads them, such as `10 kW`."""
    spec = KINDS.get(line.identity.kind)
    if spec is None:  # only a newer version knows this kind
        return line.values
    numbers = {name: _number_in_words(line.data.get(name)) for name in spec.numbers}
    texts = {name: line.data.get(name) or "" for name in (*spec.texts, "unit")}
    return spec.wording.format(**numbers, **texts).strip()


def _number_in_words(value: object) -> str:
    """The number as a person writes it. A whole number has no decimal point, whichever version
    wrote its line."""
    if isinstance(value, Decimal):
        return number_text(value)
    return "-" if value is None else str(value)
