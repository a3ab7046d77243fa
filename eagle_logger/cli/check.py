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


def _hour(_context: click.Context, _parameter: click.Parameter, text: str | None) -> Hour:
    try:
        return Hour.parse(text if text and len(text) > 10 else f"{text}-00") if text else BEGINNING
    except ValueError:
        raise click.BadParameter("give a UTC day or hour: YYYY-MM-DD or YYYY-MM-DD-HH") from None


@click.command()
@with_settings
@click.option(
    "--since",
    callback=_hour,
    help="Only hours from this UTC day (YYYY-MM-DD) or hour (YYYY-MM-DD-HH) on.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def check(settings: Settings, since: Hour, *, as_json: bool) -> None:
    """Walk log files, receipts and archive, and say what is missing, doubled, damaged or
    unreadable.

    Reads every object; changes nothing. Exit 1 if something is wrong.
    """
    console = Console(stderr=True)
    folder, archive = wiring.log_folder(settings), wiring.archive(settings)
    with console.status("looking at the archive …") as status:
        found = audit(
            folder, archive, since=since, on_object=lambda key: status.update(f"looking at {key}")
        )
    print(json.dumps(asdict(found)) if as_json else _in_words(found))
    sys.exit(1 if found.findings else 0)


def _in_words(found: ArchiveCheck) -> str:
    lines = [str(finding) for finding in found.findings]
    archived = f"{found.objects} objects with {found.readings} readings"
    local = f"{found.log_files} log files, {found.receipts} with a receipt, {found.waiting} to be archived"
    return "\n".join(
        [
            *lines,
            f"{archived}; {local}; {found.quarantined} in quarantine: {len(lines) or 'nothing'} wrong",
        ]
    )
