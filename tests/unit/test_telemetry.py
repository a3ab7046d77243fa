"""Lateness from counters, and log lines on a terminal."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from eagle_logger.telemetry import (
    LATENESS_BOUNDS_MS,
    configure_logging,
    late_percentile,
    lateness_counter,
)


def test_the_percentile_of_no_fetches_is_none() -> None:
    assert late_percentile({"fetches": 0}, 0.99) is None


@given(st.lists(st.floats(0, 3600), min_size=1, max_size=200))
def test_the_percentile_is_the_upper_bound_of_its_counter(lateness: list[float]) -> None:
    tally = Counter(map(lateness_counter, lateness))
    exact = sorted(lateness)[max(0, -(-99 * len(lateness) // 100) - 1)]
    bound = next(bound for bound in LATENESS_BOUNDS_MS if exact * 1000 <= bound)
    assert late_percentile(tally, 0.99) == bound / 1000


def test_a_fetch_later_than_every_bound_counts_in_the_last_counter() -> None:
    assert late_percentile({lateness_counter(100_000): 1}, 0.99) == LATENESS_BOUNDS_MS[-1] / 1000


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str]) -> Iterator[pytest.CaptureFixture[str]]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    configure_logging("console")
    yield capsys
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def test_a_log_line_carries_no_control_characters_to_a_terminal(
    terminal: pytest.CaptureFixture[str],
) -> None:
    log = structlog.get_logger("tests")
    log.warning("odd_reply", reason="a\x1b[2J\x9b\u202e\u2028b\nforged line", detail="plain é")
    shown = terminal.readouterr().err
    assert not set(shown) & set("\x9b\u202e\u2028")
    assert "\x1b[2J" not in shown
    assert "\nforged" not in shown
    assert "plain é" in shown
