from __future__ import annotations

from eagle_logger.core.token_bucket import Rate
from workers.server.limits import RateLimit


def test_one_peer_takes_nothing_from_the_others() -> None:
    limit = RateLimit(Rate(1, 10), Rate(1, 100))
    assert sum(limit.take("loud", 0.0) == 0 for _ in range(1000)) == 10
    assert sum(limit.take("quiet", 0.0) == 0 for _ in range(5)) == 5


def test_all_peers_together_have_a_limit_and_few_of_them_are_remembered() -> None:
    limit = RateLimit(Rate(1, 10), Rate(1, 100))
    assert sum(limit.take(str(peer), 0.0) == 0 for peer in range(10_000)) == 100
    assert len(limit._peers) == 4096
