"""Pictures of what was measured, as SVG.

python -m benchmarks.pictures lateness RESULTS.json PICTURE.svg    lateness over time, a panel for
each of our runs python -m benchmarks.pictures flame PROFILE.txt PICTURE.svg        a flame graph of
py-spy's collapsed stacks
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.figures import grown
from eagle_logger.telemetry import late_percentile

WIDTH = 1000
_SHARES = {0.5: "#3b6ea5", 0.99: "#c0504d"}
_BAR = 2.0
"""Seconds: the lateness that is promised."""


def svg(height: float, parts: Iterable[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" font-family="sans-serif" font-size="12">'
    return "\n".join(
        [head, f'<rect width="{WIDTH}" height="{height:.0f}" fill="white"/>', *parts, "</svg>\n"]
    )


# Lateness over time ---------------------------------------------------------------------------------------------------

_PANEL, _LEFT, _TOP, _PLOT = 190, 60, 30, 120


def lateness(report: Mapping[str, Any]) -> str:
    runs = [row for row in report["contenders"] if len(row.get("over_time", ())) > 2]
    return svg(
        _PANEL * len(runs),
        [part for number, run in enumerate(runs) for part in _panel(run, _PANEL * number)],
    )


def _panel(run: Mapping[str, Any], top: int) -> Iterator[str]:
    glances: Sequence[Mapping[str, Any]] = run["over_time"]
    lines = {share: list(_percentiles(glances, share)) for share in _SHARES}
    longest = float(glances[-1]["second"])
    highest = max(2 * _BAR, *(late for points in lines.values() for _, late in points))
    base = top + _TOP + _PLOT

    def x(second: float) -> float:
        return _LEFT + second / longest * (WIDTH - _LEFT - 20)

    def y(late: float) -> float:
        return base - late / highest * _PLOT

    missed = glances[-1]["missed_turns"] - glances[0]["missed_turns"]
    yield f'<text x="{_LEFT}" y="{top + 18}">{escape(run["name"])}: lateness over time; {missed} missed turns</text>'
    for late in (0.0, _BAR, highest):
        yield f'<line x1="{_LEFT}" x2="{WIDTH - 20}" y1="{y(late):.1f}" y2="{y(late):.1f}" stroke="#ccc"/>'
        yield f'<text x="{_LEFT - 8}" y="{y(late) + 4:.1f}" text-anchor="end">{late:g} s</text>'
    for number, (share, points) in enumerate(lines.items()):
        path = " ".join(f"{x(second):.1f},{y(late):.1f}" for second, late in points)
        yield f'<polyline points="{path}" fill="none" stroke="{_SHARES[share]}" stroke-width="1.5"/>'
        yield f'<text x="{WIDTH - 110 + 50 * number}" y="{top + 18}" fill="{_SHARES[share]}">p{share * 100:.0f}</text>'
    yield f'<text x="{WIDTH - 20}" y="{base + 16}" text-anchor="end">{longest:.0f} s</text>'


def _percentiles(
    glances: Sequence[Mapping[str, Any]], share: float
) -> Iterator[tuple[float, float]]:
    """Of the fetches between each two glances."""
    for before, after in pairwise(glances):
        late = late_percentile(grown(before["late"], after["late"]), share)
        if late is not None:
            yield after["second"], late


# Flame graph ----------------------------------------------------------------------------------------------------------

_ROW = 17
_NARROWEST = 0.002
"""Of all samples: frames that are rarer are left out."""
_COLOURS = {"eagle_logger": "#e8925b", "workers": "#e8925b", "aiohttp": "#8fb8de", "httpx": "#8fb8de", "redis": "#9bc49b",
            "kombu": "#d9c36a", "celery": "#d9c36a"}  # fmt: skip


@dataclass(slots=True)
class Frame:
    samples: int = 0
    callees: dict[str, Frame] = field(default_factory=dict)


def flame(stacks: Iterable[str]) -> str:
    whole = Frame()
    for line in stacks:
        stack, _, samples = line.rpartition(" ")
        _add(whole, [_without_line(name) for name in stack.split(";")], int(samples))
    depth = _depth(whole, whole.samples)
    return svg(_ROW * (depth + 1), _boxes(whole, "all samples", 0.0, _ROW * depth, whole.samples))


def _without_line(name: str) -> str:
    """`f (b.py:12)` → `f (b.py)`: a function is one frame, whatever line it was at; and so is a
    pool's thread."""
    place, _, number = name.rpartition(":")
    if name.startswith("thread ("):
        return "thread " + name.partition("): ")[2].rstrip("0123456789").rstrip("_")
    return f"{place})" if number.rstrip(")").isdigit() else name


def _add(frame: Frame, stack: Sequence[str], samples: int) -> None:
    frame.samples += samples
    for name in stack:
        frame = frame.callees.setdefault(name, Frame())
        frame.samples += samples


def _depth(frame: Frame, whole: int) -> int:
    wide = [one for one in frame.callees.values() if one.samples >= _NARROWEST * whole]
    return 1 + max((_depth(one, whole) for one in wide), default=0)


def _boxes(frame: Frame, name: str, left: float, top: float, whole: int) -> Iterator[str]:
    width = WIDTH * frame.samples / whole
    colour = next(
        (colour for package, colour in _COLOURS.items() if f"({package}" in name), "#d0d0d0"
    )
    text = f"{name} {frame.samples / whole:.1%}"
    place = f'x="{left:.1f}" y="{top:g}" width="{max(0.5, width - 0.5):.1f}" height="{_ROW - 1}"'
    yield f'<g><title>{escape(text)}</title><rect {place} fill="{colour}"/>'
    shown = text[: int(width / 6.5)]
    yield (
        f'<text x="{left + 3:.1f}" y="{top + 12:g}" font-size="11">{escape(shown)}</text></g>'
        if len(shown) > 3
        else "</g>"
    )
    for callee, one in sorted(frame.callees.items(), key=lambda item: -item[1].samples):
        if one.samples >= _NARROWEST * whole:
            yield from _boxes(one, callee, left, top - _ROW, whole)
        left += WIDTH * one.samples / whole


def main(what: str, source: str, target: str) -> None:
    text = Path(source).read_text()
    draw: Mapping[str, Callable[[], str]] = {
        "lateness": lambda: lateness(json.loads(text)),
        "flame": lambda: flame(text.splitlines()),
    }
    Path(target).write_text(draw[what]())


if __name__ == "__main__":
    main(*sys.argv[1:])
