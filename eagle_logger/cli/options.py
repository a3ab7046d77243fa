"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from eagle_logger import settings
from eagle_logger.core.time_arguments import duration_of


class _Age(click.ParamType[float]):
    name = "age"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            return value if isinstance(value, float) else duration_of(value)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


AGE = _Age()
"""An option's length of time, in seconds: 90s, 15m, 1h, 2d."""


def with_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the `--data` option and, as its first argument, the Settings in force there."""

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
