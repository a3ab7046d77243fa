"""`eagle-logger rotate`"""

from __future__ import annotations

import sys

import click
from rich.console import Console
from rich.table import Table

from eagle_logger.cli.options import with_settings
from eagle_logger.core.hours import Hour
from eagle_logger.rotation.parallel import RotationJob, rotate_backlog
from eagle_logger.rotation.rotation_result import RotationResult
from eagle_logger.rotation.stop_request import StopRequest
from eagle_logger.settings import Settings


@click.command()
@with_settings
@click.option(
    "--include-open",
    is_flag=True,
    help="Seal and archive open hours too; what comes later becomes a further part.",
)
@click.option(
    "--processes", type=click.IntRange(1, 256), help="How many work on it. [default: one per core]"
)
def rotate(settings: Settings, *, include_open: bool, processes: int | None) -> None:
    """Archive the log files of this data directory that are complete, now, and delete those kept
    long enough.

    Safe beside a running system. Ctrl-C stops it between two users. Exit 1 if something was left
    over or went wrong.
    """
    stop = StopRequest()
    job = RotationJob(settings, settings.clock.now(), include_open)
    done = [
        (*shard, one) for shard, one in rotate_backlog(job, lambda: stop.asked, processes=processes)
    ]
    total = sum((one for _, _, one in done), RotationResult())
    _show(done, total)
    for cloud_id, reason in total.errors.items():
        print(f"{cloud_id}: {reason}", file=sys.stderr)
    sys.exit(1 if total.errors or total.deferred else 0)


def _show(done: list[tuple[Hour, str, RotationResult]], total: RotationResult) -> None:
    console = Console()
    if not done:
        print("nothing to rotate")
    elif console.is_terminal:
        table = Table("hour", "shard", *(name for name, _ in _columns(total)), show_footer=False)
        for hour, shard, one in done:
            table.add_row(hour.name, shard, *(f"{value:,}" for _, value in _columns(one)))
        table.add_section()
        table.add_row("total", "", *(f"{value:,}" for _, value in _columns(total)))
        console.print(table)
    else:
        for hour, shard, one in done:
            print(f"{hour} {shard} {one}")
        print(f"total {total}")


def _columns(one: RotationResult) -> list[tuple[str, int]]:
    return [
        ("users", one.users),
        ("objects", one.objects),
        ("rows", one.rows),
        ("bytes", one.bytes),
        ("duplicates", one.duplicates),
        ("conflicts", one.conflicts),
        ("kept aside", one.quarantined),
        ("deleted", one.removed),
        ("deferred", one.deferred),
    ]
