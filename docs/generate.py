"""Writes the reference pages that the code itself knows best: `make docs`; `make check` sees that
they are up to date."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from docs import simulated_relay
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
        "Each is an environment variable. What `eagle-logger up` started stands in `services.json` in the data directory and",
        "is used where the environment says nothing. Times are seconds, or carry a unit: `90s`, `10m`, `24h`, `7d`.\n",
        "| variable | default | what for |",
        "| --- | --- | --- |",
    ]
    for name, field in Settings.model_fields.items():
        default = (
            "" if field.default_factory or field.default in (None, "", ()) else f"`{field.default}`"
        )
        lines.append(f"| `{PREFIX}{name.upper()}` | {default} | {field.description} |")
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    return "# Commands\n\n" + "\n".join(
        _command(main, click.Context(main, info_name="eagle-logger"))
    )


def _command(command: click.Command, ctx: click.Context) -> Iterator[str]:
    ctx.terminal_width = ctx.max_content_width = 100
    yield f"## `{ctx.command_path}`\n\n```text\n{command.get_help(ctx)}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            child = command.get_command(ctx, name)
            if child is not None and not child.hidden:
                yield from _command(child, click.Context(child, info_name=name, parent=ctx))


def errors_page() -> str:
    lines = [
        "# Errors\n",
        "Split by what to do about them: a *transient* one is tried again by itself, a *permanent* one needs a person, a",
        "*configuration* mistake ends the program at once with exit code 2.\n",
    ]
    return "\n".join([*lines, *_error_tree(EagleError, 0)]) + "\n"


def _error_tree(error: type[EagleError], depth: int) -> Iterator[str]:
    said = " ".join(inspect.cleandoc(error.__doc__ or "").split())
    yield f"{'  ' * depth}- **{error.__name__}**: {said}"
    for child in vars(errors).values():
        if isinstance(child, type) and child.__base__ is error:
            yield from _error_tree(child, depth + 1)


def metrics_page() -> str:
    lines = [
        "# Metrics\n",
        "What the bridge tells Prometheus at `/metrics`. Counters are the whole system's since its first start and survive",
        "every process; what is said of a disk is said of the bridge's own. No metric has a label per user.\n",
        "| metric | type | labels | meaning |",
        "| --- | --- | --- | --- |",
    ]
    lines += (
        f"| `{one.name}` | {one.type} | {', '.join(f'`{label}`' for label in one.labels)} | {one.meaning} |"
        for one in metrics.catalogue()
    )
    return "\n".join(lines) + "\n"


def openapi_page() -> str:
    return (
        "# The bridge's HTTP interface\n\nThe same document that the bridge gives at `/openapi.json`.\n\n"
        f"```json\n{json.dumps(openapi.document(), indent=2)}\n```\n"
    )


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "commands.md": commands_page,
    "errors.md": errors_page,
    "metrics.md": metrics_page,
    "openapi.md": openapi_page,
    "quirks.md": quirks_page,
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
