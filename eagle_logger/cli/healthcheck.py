"""`eagle-logger healthcheck`: for a supervisor that watches the processes from outside."""

from __future__ import annotations

import asyncio
import socket
import sys

import click

from eagle_logger.cli.options import with_settings
from eagle_logger.cli.user_store_context import with_users
from eagle_logger.inspection.health import progress_age
from eagle_logger.settings import Settings
from eagle_logger.users.store import Fleet


@click.command()
@click.argument("name")
@click.option(
    "--within",
    type=click.FloatRange(1, 3600),
    default=30.0,
    show_default=True,
    help="Seconds that may have passed since the last progress.",
)
@with_settings
def healthcheck(settings: Settings, *, name: str, within: float) -> None:
    """Exit 0 if the process NAME reported progress recently, 1 if not. `%h` in NAME stands for this
    host's name.

    A worker's name is its node name (fetch@HOST), or EAGLE_PROCESS_NAME where that is set. The
    name of beat is `beat`.
    """
    process = name.replace("%h", socket.gethostname())
    age = with_users(settings, lambda store: _progress_age(store.fleet, process))
    if age is None:
        print(f"{process}: has not reported within the hour")
    else:
        print(f"{process}: last progress {age:.1f} s ago")
    sys.exit(0 if age is not None and age <= within else 1)


async def _progress_age(fleet: Fleet, process: str) -> float | None:
    now, progress = await asyncio.gather(fleet.now(), fleet.progress())
    return progress_age(progress, process, now)
