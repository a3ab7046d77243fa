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
from eagle_logger.inspection.check_result import CheckResult, Grade
from eagle_logger.inspection.doctor import run_all, worst
from eagle_logger.settings import Settings

_GRADE_IN_WORDS = {Grade.OK: "ok", Grade.LOOK: "LOOK", Grade.WRONG: "WRONG"}
_GRADE_COLOUR = {Grade.OK: "green", Grade.LOOK: "yellow", Grade.WRONG: "red"}


@click.command()
@with_settings
@click.option("--json", "as_json", is_flag=True, help="A JSON list of findings.")
def doctor(settings: Settings, *, as_json: bool) -> None:
    """Check the system and the world around it, and say what to do.

    It looks at servers, key, disk, archive, relay and clocks, then at dispatch, processes, users
    and hours.

    Exit code 0: all is well. 1 (LOOK): readings flow, but single homes, hours or processes need a
    hand. 2 (WRONG): nothing is fetched, or what is fetched cannot be kept. Nagios and its kin know
    these codes as ok, warning and critical.
    """
    results = run_all(settings)
    console = Console()
    if as_json:
        print(json.dumps([result.as_json() for result in results]))
    elif console.is_terminal:
        console.print(_results_table(results))
    else:
        for result in results:
            finding = harmless(result.found)
            print(_GRADE_IN_WORDS[result.grade], result.name, finding, result.advice, sep="\t")
    sys.exit(worst(results))


def _results_table(results: list[CheckResult]) -> Table:
    table = Table(show_lines=False)
    for heading in ("", "check", "found", "what to do"):
        table.add_column(heading, overflow="fold")
    for result in results:
        mark = Text(_GRADE_IN_WORDS[result.grade], style=_GRADE_COLOUR[result.grade])
        table.add_row(mark, result.name, Text(result.found), Text(result.advice))
    return table
