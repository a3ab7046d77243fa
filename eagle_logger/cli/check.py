"""`eagle-logger check`"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click
from rich.console import Console

from eagle_logger import wiring
from eagle_logger.cli.options import UTC_HOUR, with_settings
from eagle_logger.core.hours import Hour
from eagle_logger.inspection.archive_check import BEGINNING, ArchiveCheck, audit
from eagle_logger.settings import Settings


@click.command()
@with_settings
@click.option(
    "--since",
    type=UTC_HOUR,
    default=BEGINNING,
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
            folder,
            archive,
            since=since,
            now=settings.clock.now(),
            on_object=lambda key: status.update(f"looking at {key}"),
        )
    print(json.dumps(asdict(result)) if as_json else _in_words(result))
    sys.exit(1 if result.findings else 0)


def _in_words(result: ArchiveCheck) -> str:
    counts = (
        f"{result.objects} objects with {result.readings} readings; "
        f"{result.index_objects} index objects, {result.not_indexed} objects not indexed; "
        f"{result.log_files} log files, {result.receipts} with a receipt, "
        f"{result.waiting} to be archived; "
        f"{result.quarantined} in quarantine: {len(result.findings) or 'nothing'} wrong"
    )
    return "\n".join([*map(str, result.findings), counts])
