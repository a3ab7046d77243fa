from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workers.server.limits import Bucket, Rate, RateLimit


@given(st.lists(st.floats(0, 10), max_size=200))
def test_never_more_than_the_burst_and_what_was_earned(pauses: list[float]) -> None:
    bucket, now, taken = Bucket(Rate(2, 5), 0.0), 0.0, 0
    for pause in pauses:
        now += pause
        taken += bucket.take(now) == 0
    assert taken <= 5 + 2 * now + 1e-6


def test_whoever_waits_as_told_gets_through() -> None:
    bucket = Bucket(Rate(2, 1), 0.0)
    assert bucket.take(0.0) == 0
    wait = bucket.take(0.1)
    assert wait == 0.4
    assert bucket.take(0.1 + wait) == 0


def test_one_peer_takes_nothing_from_the_others() -> None:
    limit = RateLimit(Rate(1, 10), Rate(1, 100))
    assert sum(limit.take("loud", 0.0) == 0 for _ in range(1000)) == 10
    assert sum(limit.take("quiet", 0.0) == 0 for _ in range(5)) == 5


def test_many_peers_together_are_bounded_too_and_so_is_what_is_remembered_of_them() -> None:
    limit = RateLimit(Rate(1, 10), Rate(1, 100))
    assert sum(limit.take(str(peer), 0.0) == 0 for peer in range(10_000)) == 100
    assert len(limit._peers) == 4096
