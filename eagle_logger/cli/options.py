"""Options and types of arguments that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, tzinfo
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from eagle_logger import settings
from eagle_logger.core.hours import Hour
from eagle_logger.core.paths import cloud_id_of
from eagle_logger.core.table_names import Day
from eagle_logger.core.time_arguments import duration_of, moment_of
from eagle_logger.errors import BadCloudId

_Command = TypeVar("_Command", bound=Callable[..., Any])


class _Age(click.ParamType[float]):
    name = "age"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            return value if isinstance(value, float) else duration_of(value)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


class _CloudId(click.ParamType[str]):
    name = "cloud_id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        del param, ctx
        try:
            return cloud_id_of(value)
        except ValueError as exc:
            raise BadCloudId(str(exc)) from None


class _UtcHour(click.ParamType[Hour]):
    name = "hour"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Hour:
        if isinstance(value, Hour):
            return value
        is_day = len(value) <= len("YYYY-MM-DD")
        try:
            return Hour.parse(f"{value}-00" if is_day else value)
        except ValueError:
            self.fail("give a UTC day or hour: YYYY-MM-DD or YYYY-MM-DD-HH", param, ctx)


class _UtcDay(click.ParamType[Day]):
    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Day:
        try:
            return value if isinstance(value, Day) else Day.parse(value)
        except ValueError:
            self.fail("give a UTC day: YYYY-MM-DD", param, ctx)


class _Zone(click.ParamType[tzinfo]):
    name = "zone"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tzinfo:
        if isinstance(value, tzinfo):
            return value
        if value == "UTC":  # even where the time zone database is not installed
            return UTC
        try:
            return ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            reason = (
                "give a name of the IANA database, such as UTC, Europe/Berlin or America/New_York; "
                "without that database on this machine (the package tzdata), only UTC is known"
            )
            self.fail(reason, param, ctx)


def moment_option(option: str, *, default: str, help: str) -> Callable[[_Command], _Command]:  # noqa: A002  (click calls it so)
    """An option for a moment. The command gets a function from now to Unix seconds."""

    def parse(
        context: click.Context, parameter: click.Parameter, text: str
    ) -> Callable[[float], float]:
        def moment(now: float) -> float:
            try:
                return moment_of(text, now)
            except ValueError as exc:
                raise click.BadParameter(str(exc), context, parameter) from None

        return moment

    return click.option(option, default=default, metavar="WHEN", callback=parse, help=help)


AGE = _Age()
"""A length of time, as a float of seconds. People write 90s, 15m, 1h or 2d."""
UTC_HOUR = _UtcHour()
"""A UTC hour, spelled YYYY-MM-DD-HH. A day, YYYY-MM-DD, stands for its first hour."""
UTC_DAY = _UtcDay()
"""A UTC day, spelled YYYY-MM-DD."""
ZONE = _Zone()
"""A time zone by its IANA name, as a tzinfo."""
CLOUD_ID = _CloudId()
"""A cloud id in its one spelling, whichever spelling was typed. Raises BadCloudId, so that the
command ends with exit code 1 and not with a usage error's 2."""


def with_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the `--data` option. It gets the Settings of that directory first."""

    @click.option(
        "--data",
        "data_dir",
        type=click.Path(path_type=Path, file_okay=False),
        help="Data directory (default: EAGLE_DATA_DIR, else ./data).",
    )
    @wraps(command)
    def wrapped(*args: Any, data_dir: Path | None, **options: Any) -> Any:
        return command(settings.load(data_dir), *args, **options)

    return wrapped
