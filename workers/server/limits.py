"""How much the server takes: requests per second, from one peer and altogether."""

from __future__ import annotations

from collections import OrderedDict

from eagle_logger.core.token_bucket import Rate, TokenBucket

MAX_BODY = 64 * 1024
"""Bytes in a request's body, where a handler does not say otherwise."""
DRAINED = 16 * 1024 * 1024
"""A body that is too large is read to its end and thrown away, so that its sender can read the
answer; up to this length."""
MAX_HEADERS = 16 * 1024
HEADERS_WITHIN = 15.0
"""Seconds from the first byte, or from the last answer, to the end of the headers."""
BODY_WITHIN = 10.0
MAX_CONNECTIONS = 1000
MAX_PROBE_CONNECTIONS = 100

_PEERS_KEPT = 4096


PER_PEER = Rate(500, 2000)
ALTOGETHER = Rate(1000, 4000)


class RateLimit:
    """A bucket for each of the last few thousand peers, and one for all of them."""

    def __init__(self, per_peer: Rate = PER_PEER, altogether: Rate = ALTOGETHER) -> None:
        self._per_peer = per_peer
        self._peers: OrderedDict[str, TokenBucket] = OrderedDict()
        self._all = TokenBucket(altogether, 0.0)

    def take(self, peer: str, now: float) -> float:
        """0 if the peer may go on, else the seconds it should wait. A peer over its own limit takes
        nothing from the others."""
        bucket = self._peers.get(peer) or TokenBucket(self._per_peer, now)
        self._peers[peer] = bucket
        self._peers.move_to_end(peer)
        if len(self._peers) > _PEERS_KEPT:
            self._peers.popitem(last=False)
        return bucket.take(now) or self._all.take(now)
