"""`eagle-logger doctor`"""

from __future__ import annotations

import json
import sys

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from eagle_logger.cli.options import with_settings
from eagle_logger.cli.terminal_text import harmless
from eagle_logger.inspection.doctor import run_all, worst
from eagle_logger.inspection.finding import CheckResult, Grade
from eagle_logger.settings import Settings

WORDS = {Grade.OK: "ok", Grade.LOOK: "LOOK", Grade.WRONG: "WRONG"}
COLOURS = {Grade.OK: "green", Grade.LOOK: "yellow", Grade.WRONG: "red"}


@click.command()
@with_settings
@click.option("--json", "as_json", is_flag=True, help="A JSON list of findings.")
def doctor(settings: Settings, *, as_json: bool) -> None:
    """Check the system and the world around it, and say what to do.

    Servers, key, disk, archive, relay and clocks; dispatch, processes, users and hours.

    Exit code 0: all is well. 1 (LOOK): readings flow, but single homes, hours or processes need a
    hand. 2 (WRONG): nothing is fetched, or what is fetched cannot be kept. These are the codes that
    Nagios and its kin know as ok, warning and critical.
    """
    findings = run_all(settings)
    console = Console()
    if as_json:
        print(json.dumps([finding.as_json() for finding in findings]))
    elif console.is_terminal:
        console.print(_table(findings))
    else:
        for finding in findings:
            print(
                WORDS[finding.grade],
                finding.name,
                harmless(finding.found),
                finding.advice,
                sep="\t",
            )
    sys.exit(worst(findings))


def _table(findings: list[CheckResult]) -> Table:
    table = Table(show_lines=False)
    for heading in ("", "check", "found", "what to do"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        mark = Text(WORDS[finding.grade], style=COLOURS[finding.grade])
        table.add_row(mark, finding.name, Text(finding.found), Text(finding.advice))
    return table
