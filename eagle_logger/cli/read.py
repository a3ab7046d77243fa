"""`eagle-logger read`"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from decimal import Decimal

import click

from eagle_logger import wiring
from eagle_logger.cli.options import with_settings
from eagle_logger.cli.terminal_text import harmless, print_json
from eagle_logger.core.hours import Hour, iso
from eagle_logger.core.kinds import KINDS
from eagle_logger.core.line_format import ParsedLine, number_text, parse_line
from eagle_logger.core.paths import cloud_id_of
from eagle_logger.core.readings import Flag
from eagle_logger.core.time_arguments import moment_of
from eagle_logger.errors import ArchiveUnavailable, BadCloudId, UnknownUser
from eagle_logger.inspection.user_readings import UserReadings
from eagle_logger.settings import Settings

FORMAT = "{:20}  {:9}  {:<32}  {:18}  {}"


@click.command()
@click.argument("cloud_id")
@click.option(
    "--since",
    metavar="WHEN",
    help="Not before: 2026-03-10T17:00Z, Unix seconds, or how long ago, such as 2h.",
)
@click.option("--until", metavar="WHEN", help="Before this moment, written likewise.")
@click.option(
    "--last", "count", type=click.IntRange(min=1), metavar="N", help="The newest N of them only."
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
    archive does not answer, what lies on this disk is shown all the same, and the exit code is 1.
    """
    try:
        user = cloud_id_of(cloud_id)
    except ValueError as exc:
        raise BadCloudId(str(exc)) from None
    now = settings.clock.now()
    first, last = _bound("--since", since, now), _bound("--until", until, now)
    history = UserReadings(user, wiring.log_folder(settings), wiring.archive(settings))
    away = None
    try:
        hours = history.hours()
    except ArchiveUnavailable as exc:
        away, history = exc, replace(history, archive=None)
        hours = history.hours()
    if not hours:
        if away:
            raise away
        raise UnknownUser(
            f"Nothing was ever logged for {user}; `eagle-logger users list` shows all users."
        )
    show = _as_it_is if as_json else _printer()
    if count is None:
        found: Iterable[bytes] = _between(history, hours, first, last)
    else:
        found = _newest(history, hours, first, last, count)
    for text in found:
        show(text)
    if history.unreadable:
        sys.stdout.flush()
        lines = "1 line" if history.unreadable == 1 else f"{history.unreadable} lines"
        print(
            f"{lines} could not be read and {'was' if history.unreadable == 1 else 'were'} left out",
            file=sys.stderr,
        )
    if away:
        sys.stdout.flush()
        print(f"only what lies on this disk is shown: {away}", file=sys.stderr)
        sys.exit(1)


def _bound(option: str, text: str | None, now: float) -> float | None:
    try:
        return None if text is None else moment_of(text, now)
    except ValueError as exc:
        raise click.BadParameter(str(exc), param_hint=option) from None


def _between(
    history: UserReadings, hours: list[Hour], first: float | None, last: float | None
) -> Iterator[bytes]:
    for hour in hours:
        if (first is None or hour.end > first) and (last is None or hour.start < last):
            whole = (first is None or first <= hour.start) and (last is None or last >= hour.end)
            for text in history.lines(hour):
                if whole or _is_between(parse_line(text), first, last):
                    yield text


def _newest(
    history: UserReadings, hours: list[Hour], first: float | None, last: float | None, count: int
) -> list[bytes]:
    """The last `count` of those lines. It reads the newest hour first, and no more hours than it
    needs."""
    found: list[bytes] = []
    for hour in reversed(hours):
        if len(found) >= count:
            break
        found = [*_between(history, [hour], first, last), *found]
    return found[-count:]


def _is_between(line: ParsedLine, first: float | None, last: float | None) -> bool:
    at = line.arrived if Flag.FILED_BY_ARRIVAL in line.flags else line.time
    return (first is None or at >= first) and (last is None or at < last)


def _as_it_is(text: bytes) -> None:
    print_json(text + b"\n")


def _printer() -> Callable[[bytes], None]:
    """A table on a terminal; in a pipe the same columns, separated by tabs, without a head."""
    if not sys.stdout.isatty():
        return lambda text: print("\t".join(_row(parse_line(text))))
    click.secho(FORMAT.format("time (UTC)", "kind", "reading", "meter", "flags"), bold=True)
    return lambda text: print(FORMAT.format(*_row(parse_line(text))).rstrip())


def _row(line: ParsedLine) -> tuple[str, ...]:
    columns = (
        iso(line.time),
        line.identity.kind,
        values_in_words(line),
        line.identity.meter or "-",
        " ".join(sorted(line.flags)),
    )
    return tuple(_printable(column) for column in columns)


def values_in_words(line: ParsedLine) -> str:
    """Its values in words."""
    spec = KINDS.get(line.identity.kind)
    if spec is None:  # a kind that only a newer version knows
        return line.values
    numbers = {name: _number(line.data.get(name)) for name in spec.numbers}
    texts = {name: line.data.get(name) or "" for name in (*spec.texts, "unit")}
    return spec.wording.format(**numbers, **texts).strip()


def _printable(text: str) -> str:
    """The text on one line, without characters that could steer a terminal: a gateway may send
    anything."""
    return harmless(" ".join(text.split()))


def _number(value: object) -> str:
    """A number for a person. A whole one has no decimal point, whichever version wrote its line."""
    if isinstance(value, Decimal):
        return number_text(value)
    return "-" if value is None else str(value)
