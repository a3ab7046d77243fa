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
    help="Seal and archive open hours too. Readings that come later become a further part.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, 256),
    help="How many share the work. [default: one per core]",
)
def rotate(settings: Settings, *, include_open: bool, processes: int | None) -> None:
    """Archive now the log files of this data directory that are complete, and delete those that
    were kept long enough.

    Safe beside a running system. Ctrl-C stops it between two users. Exit 1 if something failed, or
    is left for a later rotation.
    """
    stop = StopRequest()
    job = RotationJob(settings, settings.clock.now(), include_open)
    results = [
        (hour, shard, result)
        for (hour, shard), result in rotate_backlog(job, lambda: stop.asked, processes=processes)
    ]
    total = sum((result for _, _, result in results), RotationResult())
    indexed = job.index(lambda: stop.asked)
    _print_results(results, total)
    total += RotationResult(errors=indexed.errors)
    for cloud_id, reason in total.errors.items():
        print(f"{cloud_id}: {reason}", file=sys.stderr)
    sys.exit(1 if total.errors or total.deferred else 0)


def _print_results(results: list[tuple[Hour, str, RotationResult]], total: RotationResult) -> None:
    console = Console()
    if not results:
        print("nothing to rotate")
    elif console.is_terminal:
        table = Table(
            "hour", "shard", *(name for name, _ in _counts_by_heading(total)), show_footer=False
        )
        for hour, shard, result in results:
            table.add_row(
                hour.name, shard, *(f"{value:,}" for _, value in _counts_by_heading(result))
            )
        table.add_section()
        table.add_row("total", "", *(f"{value:,}" for _, value in _counts_by_heading(total)))
        console.print(table)
    else:
        for hour, shard, result in results:
            print(f"{hour} {shard} {result}")
        print(f"total {total}")


def _counts_by_heading(result: RotationResult) -> list[tuple[str, int]]:
    return [
        ("users", result.users),
        ("objects", result.objects),
        ("rows", result.rows),
        ("bytes", result.bytes),
        ("duplicates", result.duplicates),
        ("conflicts", result.conflicts),
        ("kept aside", result.quarantined),
        ("deleted", result.removed),
        ("deferred", result.deferred),
    ]
