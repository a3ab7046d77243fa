"""What a canary test says when it fails.

A canary test uses an inner part of a library by itself, without our module that relies on
it. It fails when a new version of the library changed that part, and then shows the header of that
module, which says what to do.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


@contextmanager
def advice_of(module: str) -> Iterator[None]:
    """Let whatever fails inside end with the header of `module`, a path such as
    `eagle_logger/rainforest/relay/connections.py`."""
    header = ast.get_docstring(ast.parse((ROOT / module).read_text())) or ""
    assert "**When it breaks:**" in header, f"the header of {module} gives no advice"
    try:
        yield
    except Exception as exc:
        message = f"{module} relies on something that no longer works. Its header says:\n\n{header}"
        raise AssertionError(message) from exc
