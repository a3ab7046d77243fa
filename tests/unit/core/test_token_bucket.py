from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eagle_logger.core.token_bucket import Rate, TokenBucket


@given(st.lists(st.floats(0, 10), max_size=200))
def test_no_more_is_taken_than_the_burst_and_what_was_earned_since(pauses: list[float]) -> None:
    bucket, now, taken = TokenBucket(Rate(2, 5), 0.0), 0.0, 0
    for pause in pauses:
        now += pause
        taken += bucket.take(now) == 0
    assert taken <= 5 + 2 * now + 1e-6


def test_a_token_is_there_after_the_wait_that_was_returned() -> None:
    bucket = TokenBucket(Rate(2, 1), 0.0)
    assert bucket.take(0.0) == 0
    wait = bucket.take(0.1)
    assert wait == 0.4
    assert bucket.take(0.1 + wait) == 0
