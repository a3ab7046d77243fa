"""The fenced blocks of the pages. A test takes them word for word, so that page and test cannot
drift apart.

`with Page("docs/how-to/scale.md", "sh") as page:` gives each block of these languages in order, and
fails if the test leaves one. Above a block that no test can run, the page says why in a comment:
`<!-- not run: … -->`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[2]
FENCE = re.compile(
    r"(?:^ *<!-- not run: (?P<reason>[^\n]+) -->\n\n?)?"
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)
LINE_BY_LINE = {"sh", "console"}
REST = "…"
"""In a page's output: other lines (on a line of its own), or the rest of a line."""


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    text: str
    reason: str | None
    """Why no test runs this block; None if one does."""

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def steps(self) -> list[Step]:
        """A step for each command, or one for the whole block where it is no list of commands."""
        if self.language not in LINE_BY_LINE:
            return [Step(self.text, ())]
        steps: list[Step] = []
        for line in self.text.replace("\\\n", "").splitlines():
            if self.language == "console" and not line.startswith("$ "):
                steps[-1:] = [Step(steps[-1].text, (*steps[-1].output, line))]
            elif command := re.sub(r"\s+# .*", "", line.removeprefix("$ ")).strip():
                steps += [Step(command, ())]
        return steps


@dataclass(frozen=True)
class Step:
    text: str
    output: tuple[str, ...]
    """The lines that the page shows below a command."""


def pages() -> list[str]:
    """README, what else a reader finds in the root, and docs, without the changelog: it describes
    former versions."""
    in_the_root = ["README.md", "CONTRIBUTING.md", "SECURITY.md"]
    return [
        *in_the_root,
        *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md")),
    ]


def blocks(page: str) -> Iterator[Block]:
    text = (ROOT / page).read_text()
    for block in FENCE.finditer(text):
        indent = len(block["indent"])
        lines = "".join(line[indent:] for line in block["text"].splitlines(keepends=True))
        yield Block(
            page,
            text.count("\n", 0, block.start("indent")) + 1,
            block["language"],
            lines,
            block["reason"],
        )


class Page:
    """The steps of a page's blocks in these languages, except blocks that say why they are not run.

    `untyped` maps commands that a test leaves out to the reasons. On leaving the context, the test
    must have taken every other step.
    """

    def __init__(
        self, name: str, *languages: str, untyped: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.output: tuple[str, ...] = ()
        """What the page shows below the step that `next` gave."""
        self._untyped = untyped or {}
        self._languages = languages
        self._left: list[Step] = []

    def next(self, begins: str = "") -> str:
        assert self._left, f"{self.name} has no further step"
        step = self._left.pop(0)
        assert step.text.startswith(begins), f"{self.name} goes on with: {step.text}"
        self.output = step.output
        return step.text

    def __enter__(self) -> Self:
        run = [
            block
            for block in blocks(self.name)
            if block.language in self._languages and block.reason is None
        ]
        assert {block.language for block in run} == set(self._languages), (
            f"{self.name} has no such blocks"
        )
        self._left = [
            step for block in run for step in block.steps if step.text not in self._untyped
        ]
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        assert kind is not None or not self._left, (
            f"{self.name}: the test left {[step.text for step in self._left]}"
        )


# Two outputs that differ only in ids, times and numbers have the same shape. ----------------------

_ALIKE = (
    (r"\t", " "),
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "ID"),
    (r"s3://[^\s:]+|http://[^\s]+|redis://[^\s,]+", "ADDRESS"),
    (r"[\w./-]*\bdata/", "data/"),
    (r"[\w-]+@[\w.-]+", "NAME"),
    (r"\b(?=[0-9a-f]*\d)([0-9a-f]{12}|[0-9a-f]{6})\b", "ID"),
    (r"\['ID'(, 'ID')*\]", "['ID']"),
    (r"(in step with their meters): .*", r"\1: HOMES"),
    (r"-?\d+(\.\d+)?", "0"),
    (r"\b0 ((?:log )?file|user|message|object|row|reading|node|line|hour)s?\b", r"0 \1"),
    (r"\bnodes?\b", "node"),
    (r"(?:[\w-]+ 0 (?:s|min) ago(?:, )?)+", "NAMES 0 s ago"),
)


def shape(line: str) -> str:
    for pattern, same in _ALIKE:
        line = re.sub(pattern, same, line)
    return " ".join(line.split())


def differences(shown: Sequence[str], printed: str) -> list[str]:
    """The lines of the page that were not printed, and the printed lines that the page does not
    show (none of these if it shows a line `…`). Order and number of the lines do not matter."""
    patterns = {
        re.escape(shape(line)).replace(REST, ".*")
        for line in shown
        if line.strip() not in {"", REST}
    }
    shapes = {shape(line): line for line in printed.splitlines() if line.strip()}
    missing = [
        f"not printed: {one}"
        for one in sorted(patterns)
        if not any(re.fullmatch(one, line) for line in shapes)
    ]
    if any(line.strip() == REST for line in shown):
        return missing
    return missing + [
        f"not shown: {line}"
        for one, line in shapes.items()
        if not any(re.fullmatch(p, one) for p in patterns)
    ]
