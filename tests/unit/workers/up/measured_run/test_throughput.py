from __future__ import annotations

from dataclasses import replace

import pytest

from eagle_logger.core.circuit_breaker import Phase
from eagle_logger.users.store import Totals
from workers.up.measured_run.throughput import ThroughputSample, flow_line, growth


def moment(at: float, parked: int = 0, refused: int = 0, **tally: int) -> ThroughputSample:
    return ThroughputSample(
        at,
        tally,
        Totals(
            users=25, due=20, overdue=0, leased=5, parked=parked, oldest_due=None, refused=refused
        ),
        {"fetch.0": 2, "adhoc": 1},
    )


def test_growth_is_the_difference_of_each_counter() -> None:
    more = growth({"fetches": 5, "gone": 1}, {"fetches": 8, "requests": 2})
    assert (more["fetches"], more["requests"], more["gone"]) == (3, 2, 0)


def test_a_line_shows_rates_since_the_last_sample() -> None:
    before = moment(100.0, fetches=10, readings_logged=100, late_100=10)
    now = moment(
        105.0,
        fetches=31,
        readings_logged=160,
        failed_fetches=1,
        uploads_done=7,
        late_100=10,
        late_500=21,
    )
    line = flow_line(before, now)
    assert "25 users" in line
    assert "4.2 fetches/s" in line
    assert "160 readings logged (+60)" in line
    assert "7 objects archived" in line
    assert "1 failed" in line
    assert "late p99 0.5 s" in line
    assert "3 messages waiting" in line
    assert "parked" not in line


def test_a_line_shows_that_nothing_flows() -> None:
    assert flow_line(moment(1.0), moment(1.0, refused=3)).endswith(" · 3 refused")
    line = flow_line(moment(1.0), moment(1.0, parked=2))
    assert "0.0 fetches/s" in line
    assert "late" not in line
    assert line.endswith("2 parked")


def test_a_line_about_a_healthy_system_names_no_trouble() -> None:
    line = flow_line(moment(1.0, uploads_failed=3), moment(2.0, uploads_failed=3))
    assert line.endswith("3 messages waiting")


@pytest.mark.parametrize(
    ("now", "trouble"),
    [
        (moment(2.0, uploads_failed=5), "2 UPLOADS FAILED"),
        (replace(moment(2.0, uploads_failed=3), relay=Phase.OPEN), "THE RELAY IS AWAY"),
        (replace(moment(2.0, uploads_failed=3), relay=Phase.RETURNING), "the relay answers again"),
        (replace(moment(2.0, uploads_failed=3), is_drained=True), "THIS NODE IS DRAINED"),
    ],
)
def test_a_line_names_what_is_wrong_now(now: ThroughputSample, trouble: str) -> None:
    assert trouble in flow_line(moment(1.0, uploads_failed=3), now)
