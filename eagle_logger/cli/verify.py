"""`eagle-logger verify`"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from eagle_logger import wiring
from eagle_logger.cli.options import with_settings
from eagle_logger.inspection.ledger_comparison import LedgerComparison, verified
from eagle_logger.settings import Settings


@click.command()
@with_settings
@click.option("--ledger", help="File or URL (default: ledger.jsonl in the data directory).")
@click.option(
    "--archive",
    "archive_url",
    help="s3://bucket/prefix or file:///directory (default: EAGLE_ARCHIVE_URL).",
)
@click.option(
    "--deaths",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Recorded deaths of processes (default: deaths.jsonl in the data directory).",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def verify(
    settings: Settings,
    ledger: str | None,
    archive_url: str | None,
    deaths: Path | None,
    *,
    as_json: bool,
) -> None:
    """Compare the simulator's ledger with the archive: is every reading that was served there,
    exactly once?

    Safe beside a running system: a reading that is still on this disk, or was served a moment ago,
    counts as "not archived yet". Exit 1 if a reading is lost or doubled.
    """
    if archive_url:
        settings = settings.model_copy(update={"archive_url": archive_url})
    logs = wiring.log_folder(settings)
    verdict = verified(settings.data_dir, wiring.archive(settings), ledger, deaths, logs=logs)
    print(json.dumps(verdict.as_json()) if as_json else _in_words(verdict))
    sys.exit(0 if verdict.is_well else 1)


def _in_words(verdict: LedgerComparison) -> str:
    counts = verdict.as_json()
    lines = [
        f"{name.replace('_', ' '):18} {count}"
        for name, count in counts.items()
        if isinstance(count, int)
    ]
    unreadable = [f"unreadable: {problem}" for problem in verdict.unreadable]
    return "\n".join([*lines, *unreadable, *verdict.examples])
