"""The code on the page of patterns is true: each block's `Do` runs and its assertions hold."""

from __future__ import annotations

import ast

import pytest

from tests.support.pages import Block, Page, blocks

PAIRS = 10
PAGE = "docs/explanation/patterns.md"
PATTERNS = [block for block in blocks(PAGE) if block.language == "python"]


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda block: block.where)
def test_a_pattern_shows_the_mistake_and_asserts_the_remedy(pattern: Block) -> None:
    assert pattern.text.startswith("# Don't: ")
    assert "\n# Do: " in pattern.text
    assert any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(pattern.text)))


def test_every_pattern_is_true() -> None:
    with Page("docs/explanation/patterns.md", "python") as page:
        for number in range(PAIRS):
            exec(
                compile(page.next("# Don't: "), f"{PAGE}, pattern {number + 1}", "exec"),
                {"__name__": "a_pattern"},
            )
