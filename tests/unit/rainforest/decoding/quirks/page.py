"""Every quirk, in a page of the documentation. `test_quirks` checks each of them, so the page
cannot be wrong."""

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


def render() -> str:
    """The table as a page of Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# What gateways send, and what comes out\n"
    yield "Each row is a test. Left, the quirk; in the middle, the bytes of the reply; right, what the system makes of them: a"
    yield "reading (in its line a whole number ends in `.0`), a *problem* (no line; counted, and a redacted sample kept), or"
    yield "an error: *try again later*, *refused* (after three in a row the user is parked), *unreadable* (counted, sample"
    yield "kept). The arrival and the summation before are given where the line depends on them."
    for title, quirks in SECTIONS.items():
        yield f"\n## {title}\n\n| quirk | bytes | what comes out |\n| --- | --- | --- |"
        for quirk in quirks:
            shown = _circumstances(quirk) + _code(_shown(quirk.body))
            yield f"| {_cell(quirk.title)} | {shown} | {'<br>'.join(map(_code, quirk.comes_out))} |"


def _circumstances(quirk: Quirk) -> str:
    told = {
        f"status {quirk.status} ": quirk.status != 200,
        f"arrived {iso(quirk.arrived or 0)} ": quirk.arrived is not None,
        "".join(f"{name} {number} kWh before " for name, number in quirk.previous.items()): bool(
            quirk.previous
        ),
    }
    return "".join(text for text, applies in told.items() if applies)


def _shown(body: bytes) -> str:
    text = repr(body)[2:-1].replace("\\'", "'")
    return text if len(text) <= 400 else f"{text[:200]} … ({len(body)} bytes)"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _code(text: str) -> str:
    return f"`{_cell(text)}`" if text else "(nothing)"
