"""A log event is a name that an operator can search for; its sentence stands in `detail`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def events() -> Iterator[tuple[str, ast.expr]]:
    """Where each event is logged, and its first argument."""
    for folder in ("eagle_logger", "workers", "docker"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            for call in ast.walk(ast.parse(file.read_text())):
                match call:
                    case ast.Call(
                        func=ast.Attribute(value=ast.Name(id="_log" | "log"), attr=level),
                        args=[event, *_],
                    ) if level in LEVELS:
                        yield f"{file.relative_to(ROOT)}:{call.lineno}", event


def test_events_are_snake_case_names() -> None:
    found = list(events())
    assert len(found) > 60
    for place, event in found:
        if isinstance(event, ast.Constant):
            assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", str(event.value)), place
