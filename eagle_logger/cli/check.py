"""`eagle-logger check`"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click
from rich.console import Console

from eagle_logger import wiring
from eagle_logger.cli.options import with_settings
from eagle_logger.core.hours import Hour
from eagle_logger.inspection.archive_check import BEGINNING, ArchiveCheck, audit
from eagle_logger.settings import Settings


def _first_hour(
    _context: click.Context, _parameter: click.Parameter, day_or_hour: str | None
) -> Hour:
    if not day_or_hour:
        return BEGINNING
    is_day = len(day_or_hour) <= len("YYYY-MM-DD")
    try:
        return Hour.parse(f"{day_or_hour}-00" if is_day else day_or_hour)
    except ValueError:
        raise click.BadParameter("give a UTC day or hour: YYYY-MM-DD or YYYY-MM-DD-HH") from None


@click.command()
@with_settings
@click.option(
    "--since",
    callback=_first_hour,
    help="Only hours from this UTC day (YYYY-MM-DD) or hour (YYYY-MM-DD-HH) on.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def check(settings: Settings, since: Hour, *, as_json: bool) -> None:
    """Walk log files, receipts and archive, and say what is missing, doubled, damaged or
    unreadable.

    Reads every object and changes nothing. Exit 1 if something is wrong.
    """
    console = Console(stderr=True)
    folder, archive = wiring.log_folder(settings), wiring.archive(settings)
    with console.status("looking at the archive …") as status:
        result = audit(
            folder, archive, since=since, on_object=lambda key: status.update(f"looking at {key}")
        )
    print(json.dumps(asdict(result)) if as_json else _in_words(result))
    sys.exit(1 if result.findings else 0)


def _in_words(result: ArchiveCheck) -> str:
    counts = (
        f"{result.objects} objects with {result.readings} readings; "
        f"{result.log_files} log files, {result.receipts} with a receipt, "
        f"{result.waiting} to be archived; "
        f"{result.quarantined} in quarantine: {len(result.findings) or 'nothing'} wrong"
    )
    return "\n".join([*map(str, result.findings), counts])
