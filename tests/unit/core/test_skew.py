from __future__ import annotations

import pytest

from eagle_logger.core.skew import skew


@pytest.mark.parametrize(
    ("sent", "took", "there", "expected"),
    [
        (100.0, 0.0, 100.0, 0.0),
        (100.0, 2.0, 101.0, 0.0),
        (125.0, 0.5, 100.25, 25.0),
        (90.0, 0.5, 100.25, -10.0),
    ],
)
def test_the_other_clock_is_taken_as_read_half_way(
    sent: float, took: float, there: float, expected: float
) -> None:
    assert skew(sent, took, there) == expected
