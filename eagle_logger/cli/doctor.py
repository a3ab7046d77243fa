"""`eagle-logger doctor`"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from eagle_logger.checks import Finding, run_all
from eagle_logger.cli.options import with_settings
from eagle_logger.settings import Settings


@click.command()
@with_settings
@click.option("--json", "as_json", is_flag=True, help="A JSON list of findings.")
def doctor(settings: Settings, *, as_json: bool) -> None:
    """Check the world around the system: Redis, key, disk, archive, relay, breaker, clock. Exit 1 if something needs a hand."""
    findings = run_all(settings)
    console = Console()
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings]))
    elif console.is_terminal:
        console.print(_table(findings))
    else:
        for finding in findings:
            print("ok" if finding.well else "WRONG", finding.name, finding.found, finding.advice, sep="\t")
    sys.exit(0 if all(finding.well for finding in findings) else 1)


def _table(findings: list[Finding]) -> Table:
    table = Table(show_lines=False)
    for heading in ("", "check", "found", "what to do"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        mark = "[green]ok[/]" if finding.well else "[red]WRONG[/]"
        table.add_row(mark, finding.name, Text(finding.found), Text(finding.advice))
    return table
