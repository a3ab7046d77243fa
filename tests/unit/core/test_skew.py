"""How far a clock is from another's: the way there and back is no skew."""

from __future__ import annotations

import pytest

from eagle_logger.core.skew import skew


@pytest.mark.parametrize(("sent", "took", "there", "expected"), [
    (100.0, 0.0, 100.0, 0.0),
    (100.0, 2.0, 101.0, 0.0),
    (125.0, 0.5, 100.25, 25.0),
    (90.0, 0.5, 100.25, -10.0),
])  # fmt: skip
def test_half_of_the_way_is_taken_off(
    sent: float, took: float, there: float, expected: float
) -> None:
    assert skew(sent, took, there) == expected
