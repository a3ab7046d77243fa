"""Writes the reference pages that derive from the code. `make docs` runs it; `make check` shows
whether the pages are up to date."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from docs import data_dictionary, simulated_relay
from eagle_logger import errors
from eagle_logger.cli.main import main
from eagle_logger.errors import EagleError
from eagle_logger.settings import PREFIX, Settings
from tests.unit.rainforest.decoding.quirks.page import render as quirks_page
from workers.server import metrics, openapi

REFERENCE = Path(__file__).parent / "reference"
NOTE = "<!-- Written by docs/generate.py: change the code, then run `make docs`. -->\n\n"


def settings_page() -> str:
    lines = [
        "# Settings\n",
        "Each is an environment variable. `eagle-logger up` writes the addresses of what it",
        "started into `services.json` in the data directory. Where the environment says nothing,",
        "that file counts. Times are seconds, or carry a unit: `90s`, `10m`, `24h`, `7d`.\n",
        "| variable | default | what for |",
        "| --- | --- | --- |",
    ]
    for name, field in Settings.model_fields.items():
        has_default = not field.default_factory and field.default not in (None, "", ())
        default = f"`{field.default}`" if has_default else ""
        lines.append(f"| `{PREFIX}{name.upper()}` | {default} | {field.description} |")
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    return "# Commands\n\n" + "\n".join(
        _command_sections(main, click.Context(main, info_name="eagle-logger"))
    )


def _command_sections(command: click.Command, ctx: click.Context) -> Iterator[str]:
    ctx.terminal_width = ctx.max_content_width = 100
    yield f"## `{ctx.command_path}`\n\n```text\n{command.get_help(ctx)}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            child = command.get_command(ctx, name)
            if child is not None and not child.hidden:
                yield from _command_sections(
                    child, click.Context(child, info_name=name, parent=ctx)
                )


def errors_page() -> str:
    lines = [
        "# Errors\n",
        "The tree splits them by what to do. After a *transient* error the program tries again by",
        "itself. A *permanent* error needs a person. A *configuration* error ends the program at",
        "once, with exit code 2.\n",
    ]
    return "\n".join([*lines, *_error_tree(EagleError, 0)]) + "\n"


def _error_tree(error: type[EagleError], depth: int) -> Iterator[str]:
    message = " ".join(inspect.cleandoc(error.__doc__ or "").split())
    yield f"{'  ' * depth}- **{error.__name__}**: {message}"
    for child in vars(errors).values():
        if isinstance(child, type) and child.__base__ is error:
            yield from _error_tree(child, depth + 1)


def metrics_page() -> str:
    lines = [
        "# Metrics\n",
        "The bridge shows them to Prometheus at `/metrics`. A counter counts for the whole system",
        "since its first start, and outlives every process. Metrics of a disk are those of the",
        "bridge's own disk. No metric has a label for each user.\n",
        "| metric | type | labels | meaning |",
        "| --- | --- | --- | --- |",
    ]
    for metric in metrics.catalogue():
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        lines.append(f"| `{metric.name}` | {metric.type} | {labels} | {metric.meaning} |")
    return "\n".join(lines) + "\n"


def openapi_page() -> str:
    return (
        "# The bridge's HTTP interface\n\n"
        "The bridge answers with the same document at `/openapi.json`.\n\n"
        f"```json\n{json.dumps(openapi.document(), indent=2)}\n```\n"
    )


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "commands.md": commands_page,
    "errors.md": errors_page,
    "metrics.md": metrics_page,
    "openapi.md": openapi_page,
    "quirks.md": quirks_page,
    "data-dictionary.md": data_dictionary.render,
    "simulated-relay.md": simulated_relay.render,
}


def run(*, check: bool) -> int:
    stale = []
    for name, render in PAGES.items():
        page, path = NOTE + render(), REFERENCE / name
        if path.exists() and path.read_text() == page:
            continue
        stale.append(name)
        if not check:
            REFERENCE.mkdir(parents=True, exist_ok=True)
            path.write_text(page)
    if check and stale:
        print(
            f"out of date: {', '.join(stale)}; run `make docs` and commit what it writes",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(run(check="--check" in sys.argv[1:]))
