"""A clock that was set is distinguished from slow answers and from drift."""

from __future__ import annotations

from eagle_logger.core.clock_jumps import ClockJumps

THERE = 1_800_000_000.0


def jumps_after(*comparisons: tuple[float, float, float]) -> ClockJumps:
    """Each comparison: what the other clock showed, when it was asked, when it answered."""
    jumps = ClockJumps()
    for there, sent, received in comparisons:
        jumps.note(THERE + there, sent=sent, received=received)
    return jumps


def test_the_first_comparison_notices_no_jump() -> None:
    assert not jumps_after((5000, 0, 0.001)).any_since(0)


def test_a_slow_answer_is_no_jump() -> None:
    assert not jumps_after((0, 0, 0.001), (9, 5, 9.001), (10, 10, 10.001), (11, 11, 15)).any_since(
        0
    )


def test_drift_is_no_jump() -> None:
    assert not jumps_after(
        *((second * 1.0005, second, second + 0.001) for second in range(0, 600, 2))
    ).any_since(0)


def test_a_jump_is_noticed_either_way_and_remembered() -> None:
    for step in (-30, -1, 0.5, 30):
        jumps = jumps_after((0, 0, 0.001), (2 + step, 2, 2.001), (3 + step, 3, 3.001))
        assert jumps.any_since(2)
        assert not jumps.any_since(2.5)
