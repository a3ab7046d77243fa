"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from eagle_logger import settings


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
