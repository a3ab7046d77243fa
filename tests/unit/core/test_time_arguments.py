from __future__ import annotations

import pytest

from eagle_logger.core.time_arguments import moment_of

NOW = 1_773_164_041.5


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-10T17:34:01Z", 1_773_164_041),
        ("2026-03-10T18:34:01+01:00", 1_773_164_041),
        ("2026-03-10 17:34:01", 1_773_164_041),
        ("2026-03-10", 1_773_100_800),
        ("1773164041", 1_773_164_041),
        ("1773164041.25", 1_773_164_041.25),
        ("now", NOW),
        ("90s", NOW - 90),
        ("1.5h", NOW - 5400),
        ("3d ago", NOW - 3 * 86400),
        (" 2 w ", NOW - 14 * 86400),
    ],
)
def test_a_moment_is_read_as_people_type_it(text: str, moment: float) -> None:
    assert moment_of(text, NOW) == moment


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2h later", "-2h", "12", "2026-13-01", "0001-01-01T00:00+23:59x"]
)
def test_a_text_that_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no moment"):
        moment_of(text, NOW)
