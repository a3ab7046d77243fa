"""A test runs every fenced block of the README and the docs, or a mark says why not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from docs.generate import NOTE
from tests.support.pages import ROOT, Block, Page, blocks, differences, pages

TESTS = ROOT / "tests"
ALL = [block for page in pages() for block in blocks(page)]
MARKED = [block for block in ALL if block.reason]
NEEDS = {
    "needs Docker": r"\bdocker\b",
    "needs AWS": r"\baws s3|arn:aws:|AWS_ACCESS_KEY_ID",
    "needs Athena": r"projection\.enabled",
    "needs an address that Amazon reaches": r"--http https://",
    "needs root": r"^# |systemctl",
    "needs HAProxy": r"\bbackend\b",
    "takes minutes": r"--for 60",
    "a picture": r"──|s3://bucket/prefix/cloud_id=",
}
"""How a reason begins, and what stands in a block that has this reason."""
NAMED = re.compile(r"[\w./-]+\.py(?:::\w+)?|\.ci/[\w-]+")


def pages_in_tests() -> Iterator[tuple[str, str]]:
    """The page and language of each `with Page(…)` in a test. Leaving it fails unless all such
    blocks were taken."""
    for path in TESTS.rglob("test_*.py"):
        text = path.read_text()
        for statement in (
            ast.walk(ast.parse(text)) if "with Page(" in text or " Page(" in text else ()
        ):
            for item in statement.items if isinstance(statement, ast.With) else ():
                match item.context_expr:
                    case ast.Call(
                        func=ast.Name(id="Page"), args=[ast.Constant(value=str(page)), *languages]
                    ):
                        yield from (
                            (page, str(language.value))
                            for language in languages
                            if isinstance(language, ast.Constant)
                        )


def is_generated(block: Block) -> bool:
    """`make check` writes such pages anew, from the code, and compares."""
    return block.language in {"text", "json"} and (ROOT / block.page).read_text().startswith(NOTE)


def test_each_block_is_run_or_says_why_not() -> None:
    run = set(pages_in_tests())
    bare = [block for block in ALL if not block.reason and not is_generated(block)]
    assert len(bare) > 50
    assert [block.where for block in bare if (block.page, block.language) not in run] == []


def test_every_fence_is_seen() -> None:
    for page in pages():
        fences = re.findall(r"^ *(?:```|~~~)", (ROOT / page).read_text(), re.MULTILINE)
        assert len(fences) == 2 * len(list(blocks(page))), page


def test_every_mark_is_above_a_block() -> None:
    written = sum((ROOT / page).read_text().count("<!-- not run:") for page in pages())
    assert written == len(MARKED)


@pytest.mark.parametrize("block", MARKED, ids=lambda block: block.where)
def test_the_reason_of_a_mark_is_true(block: Block) -> None:
    reason = block.reason or ""
    needs = [pattern for need, pattern in NEEDS.items() if reason.startswith(need)]
    assert needs, f"it begins with none of {list(NEEDS)}"
    assert re.search(needs[0], block.text, re.MULTILINE)
    for name in NAMED.findall(reason):
        path, _, test = name.partition("::")
        assert (ROOT / path).is_file(), name
        assert not test or re.search(
            rf"^(?:async )?def {test}\(", (ROOT / path).read_text(), re.MULTILINE
        ), name


def test_a_block_that_no_test_takes_is_reported() -> None:
    with (
        pytest.raises(AssertionError, match="the test left"),
        Page("docs/how-to/rotate-keys.md", "console") as page,
    ):
        page.next("(umask 077")


def test_output_that_differs_from_a_page_would_be_found() -> None:
    shown = ["00ce69\t2026-03-10T17:54:01Z", "2 users, 3 waiting", "fetch@0123456789ab: … OK"]
    assert (
        differences(
            shown, "1 user, 30 waiting\n002738\t2026-11-28T01:02:03Z\nfetch-1@host: it is OK\n"
        )
        == []
    )
    assert differences(shown[1:2], "1 user, 1 gone\n") == [
        "not printed: 0\\ user,\\ 0\\ waiting",
        "not shown: 1 user, 1 gone",
    ]
    assert differences(["…", "2 users, 3 waiting"], "whatever\n1 user, 1 waiting\n") == []
