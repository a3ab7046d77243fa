"""Meters that follow a recorded trace."""

from __future__ import annotations

import pytest

from eagle_logger.simulator.relay.homes import homes
from eagle_logger.simulator.relay.trace import Trace, TracedMeter

HOMES = homes(20, 1)
LINES = """
{"made": 1767225600, "shows": 1767225603.5}
{"made": 1767225608, "shows": 1767225612.0}

{"made": 1767225616, "shows": 1767225619.25}
"""


def test_a_trace_is_shown_again_and_again_from_the_moment_it_begins() -> None:
    meter = TracedMeter(Trace.parse(LINES), begins=2_000_000_000.9, together=True)
    moments = [meter.latest_reading(HOMES[0], 2_000_000_001.0 + second) for second in range(60)]
    assert [moment.turn for moment in moments] == sorted(moment.turn for moment in moments)
    times = list(dict.fromkeys(moment.time for moment in moments))
    assert times[:4] == [1_999_999_997, 2_000_000_005, 2_000_000_013, 2_000_000_021]


def test_a_reading_is_shown_from_its_moment_on() -> None:
    meter = TracedMeter(Trace.parse(LINES), begins=2_000_000_000.0, together=True)
    first, second = (meter.latest_reading(HOMES[0], 2_000_000_000.0 + at) for at in (8.4, 8.6))
    assert second.time - first.time == 8


def test_homes_are_spread_over_the_trace_unless_they_speak_together() -> None:
    trace = Trace.parse(LINES)
    spread = TracedMeter(trace, 2e9)
    assert len({spread.latest_reading(home, 2e9 + 3).time for home in HOMES}) > 3
    together = TracedMeter(trace, 2e9, together=True)
    assert len({together.latest_reading(home, 2e9 + 3).time for home in HOMES}) == 1


@pytest.mark.parametrize(
    "text", ["", "[]", '{"made": 1}', '{"made": "x", "shows": 1}', '{"made": NaN, "shows": 1}']
)
def test_what_is_no_trace_is_refused_and_the_line_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"line 1: expected|holds no reading"):
        Trace.parse(text)
