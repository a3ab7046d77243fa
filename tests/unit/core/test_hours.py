from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eagle_logger.core.hours import iso


@given(st.floats(-1e9, 4.2e9) | st.integers(-(10**9), 4_200_000_000))
@example(1_767_225_599.9999999)
@example(1_767_225_600.001)
@example(-0.5)
@pytest.mark.parametrize("timespec", ["seconds", "milliseconds"])
def test_a_moment_is_written_as_datetime_writes_it(timespec: str, seconds: float) -> None:
    written = datetime.fromtimestamp(seconds, UTC).isoformat(timespec=timespec)
    assert iso(seconds, milliseconds=timespec == "milliseconds") == written.replace("+00:00", "Z")
