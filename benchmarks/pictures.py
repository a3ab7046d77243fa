"""Pictures of measurements, as SVG.

`python -m benchmarks.pictures lateness RESULTS.json PICTURE.svg` draws lateness over time, with a
panel for each of our runs. `python -m benchmarks.pictures flame PROFILE.txt PICTURE.svg` draws a
flame graph of py-spy's collapsed stacks.
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
_PROMISED_LATENESS_S = 2.0


def svg(height: float, parts: Iterable[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
        'font-family="sans-serif" font-size="12">'
    )
    return "\n".join(
        [head, f'<rect width="{WIDTH}" height="{height:.0f}" fill="white"/>', *parts, "</svg>\n"]
    )


# Lateness over time -------------------------------------------------------------------------------

_PANEL, _LEFT, _TOP, _PLOT = 190, 60, 30, 120


def lateness(report: Mapping[str, Any]) -> str:
    runs = [row for row in report["contenders"] if len(row.get("over_time", ())) > 2]
    return svg(
        _PANEL * len(runs),
        [part for number, run in enumerate(runs) for part in _panel(run, _PANEL * number)],
    )


def _panel(run: Mapping[str, Any], top: int) -> Iterator[str]:
    samples: Sequence[Mapping[str, Any]] = run["over_time"]
    lines = {share: list(_percentiles(samples, share)) for share in _SHARES}
    longest = float(samples[-1]["second"])
    late_times = (late for points in lines.values() for _, late in points)
    highest = max(2 * _PROMISED_LATENESS_S, *late_times)
    base = top + _TOP + _PLOT

    def x(second: float) -> float:
        return _LEFT + second / longest * (WIDTH - _LEFT - 20)

    def y(late: float) -> float:
        return base - late / highest * _PLOT

    missed = samples[-1]["missed_turns"] - samples[0]["missed_turns"]
    title = f"{escape(run['name'])}: lateness over time; {missed} missed turns"
    yield f'<text x="{_LEFT}" y="{top + 18}">{title}</text>'
    for late in (0.0, _PROMISED_LATENESS_S, highest):
        ends = f'x1="{_LEFT}" x2="{WIDTH - 20}" y1="{y(late):.1f}" y2="{y(late):.1f}"'
        yield f'<line {ends} stroke="#ccc"/>'
        yield f'<text x="{_LEFT - 8}" y="{y(late) + 4:.1f}" text-anchor="end">{late:g} s</text>'
    for number, (share, points) in enumerate(lines.items()):
        path = " ".join(f"{x(second):.1f},{y(late):.1f}" for second, late in points)
        colour, at = _SHARES[share], f'x="{WIDTH - 110 + 50 * number}" y="{top + 18}"'
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        yield f'<text {at} fill="{colour}">p{share * 100:.0f}</text>'
    yield f'<text x="{WIDTH - 20}" y="{base + 16}" text-anchor="end">{longest:.0f} s</text>'


def _percentiles(
    samples: Sequence[Mapping[str, Any]], share: float
) -> Iterator[tuple[float, float]]:
    """The percentile of the fetches between each two samples."""
    for before, after in pairwise(samples):
        late = late_percentile(grown(before["late"], after["late"]), share)
        if late is not None:
            yield after["second"], late


# Flame graph --------------------------------------------------------------------------------------

_ROW = 17
_NARROWEST = 0.002
"""Frames with a smaller share of all samples are left out."""
_COLOURS = {
    "eagle_logger": "#e8925b",
    "workers": "#e8925b",
    "aiohttp": "#8fb8de",
    "httpx": "#8fb8de",
    "redis": "#9bc49b",
    "kombu": "#d9c36a",
    "celery": "#d9c36a",
}


@dataclass(slots=True)
class Frame:
    samples: int = 0
    callees: dict[str, Frame] = field(default_factory=dict)


def flame(stacks: Iterable[str]) -> str:
    root = Frame()
    for line in stacks:
        stack, _, samples = line.rpartition(" ")
        _add_stack(root, [_without_line(name) for name in stack.split(";")], int(samples))
    depth = _depth(root, root.samples)
    return svg(_ROW * (depth + 1), _boxes(root, "all samples", 0.0, _ROW * depth, root.samples))


def _without_line(name: str) -> str:
    """`f (b.py:12)` → `f (b.py)`, so that a function is one frame for all its lines. All threads of
    a pool become one frame too."""
    place, _, number = name.rpartition(":")
    if name.startswith("thread ("):
        return "thread " + name.partition("): ")[2].rstrip("0123456789").rstrip("_")
    return f"{place})" if number.rstrip(")").isdigit() else name


def _add_stack(frame: Frame, stack: Sequence[str], samples: int) -> None:
    frame.samples += samples
    for name in stack:
        frame = frame.callees.setdefault(name, Frame())
        frame.samples += samples


def _depth(frame: Frame, total: int) -> int:
    wide = [one for one in frame.callees.values() if one.samples >= _NARROWEST * total]
    return 1 + max((_depth(one, total) for one in wide), default=0)


def _boxes(frame: Frame, name: str, left: float, top: float, total: int) -> Iterator[str]:
    width = WIDTH * frame.samples / total
    colour = next(
        (colour for package, colour in _COLOURS.items() if f"({package}" in name), "#d0d0d0"
    )
    label = f"{name} {frame.samples / total:.1%}"
    place = f'x="{left:.1f}" y="{top:g}" width="{max(0.5, width - 0.5):.1f}" height="{_ROW - 1}"'
    yield f'<g><title>{escape(label)}</title><rect {place} fill="{colour}"/>'
    shown = label[: int(width / 6.5)]
    yield (
        f'<text x="{left + 3:.1f}" y="{top + 12:g}" font-size="11">{escape(shown)}</text></g>'
        if len(shown) > 3
        else "</g>"
    )
    for callee, called in sorted(frame.callees.items(), key=lambda item: -item[1].samples):
        if called.samples >= _NARROWEST * total:
            yield from _boxes(called, callee, left, top - _ROW, total)
        left += WIDTH * called.samples / total


def main(what: str, source: str, target: str) -> None:
    content = Path(source).read_text()
    draw: Mapping[str, Callable[[], str]] = {
        "lateness": lambda: lateness(json.loads(content)),
        "flame": lambda: flame(content.splitlines()),
    }
    Path(target).write_text(draw[what]())


if __name__ == "__main__":
    main(*sys.argv[1:])
