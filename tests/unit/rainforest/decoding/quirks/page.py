"""All quirks as a page of the documentation. `test_quirks` checks each of them, so the page cannot
be wrong."""

from __future__ import annotations

from collections.abc import Iterator

from eagle_logger.core.hours import iso
from tests.unit.rainforest.decoding.quirks import failures, spellings, values
from tests.unit.rainforest.decoding.quirks.quirk import Quirk

SECTIONS = {
    "Numbers": values.NUMBERS,
    "Times": values.TIMES,
    "Prices": values.PRICES,
    "XML": spellings.XML,
    "JSON": spellings.JSON,
    "Errors": failures.ERRORS,
}


_INTRODUCTION = """\
Each row is a test: a quirk, its source, the bytes of the reply, and what comes of them. That is a
reading (in its line a whole number ends in `.0`), a *problem* (no line; it is counted, and a
redacted sample is kept), or an error: *try again later*, *refused* (three in a row may park the
user) or *unreadable* (counted, with a sample). The arrival and the summation before are given where
the line depends on them.

The source is the vendor's *manual*; replies that were *captured*, or on which several independent
clients of the relay agree; *one client*; or *inferred*: nobody reported it, but it follows from the
others, or from damage to a reply on its way."""


def render() -> str:
    """The table as a page of Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# What gateways send, and what comes out\n"
    yield from _INTRODUCTION.splitlines()
    for title, quirks in SECTIONS.items():
        yield f"\n## {title}\n"
        yield "| quirk | source | bytes | what comes out |\n| --- | --- | --- | --- |"
        for quirk in quirks:
            shown = _circumstances(quirk) + _code(_shown(quirk.body))
            outcome = "<br>".join(map(_code, quirk.comes_out))
            yield f"| {_cell(quirk.title)} | {quirk.source} | {shown} | {outcome} |"


def _circumstances(quirk: Quirk) -> str:
    return "".join(
        [
            f"status {quirk.status} " if quirk.status != 200 else "",
            "" if quirk.arrived is None else f"arrived {iso(quirk.arrived)} ",
            *(f"{name} {number} kWh before " for name, number in quirk.previous.items()),
        ]
    )


def _shown(body: bytes) -> str:
    text = repr(body)[2:-1].replace("\\'", "'")
    return text if len(text) <= 400 else f"{text[:200]} … ({len(body)} bytes)"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _code(text: str) -> str:
    return f"`{_cell(text)}`" if text else "(nothing)"
