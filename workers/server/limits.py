"""How much the server takes: bytes and seconds of one request, connections, and requests per second
from one peer and altogether."""

from __future__ import annotations

from collections import OrderedDict

from eagle_logger.core.token_bucket import Rate, TokenBucket

MAX_BODY_BYTES = 64 * 1024
"""The longest body of a request to a handler that does not set a limit of its own."""
MAX_DISCARDED_BODY_BYTES = 16 * 1024 * 1024
"""A body that is too large is read to its end and thrown away; otherwise its sender could not read
the answer. A body longer than this is not read."""
MAX_HEADERS_BYTES = 16 * 1024
HEADERS_WITHIN_S = 15.0
"""From the first byte, or from the last answer, to the end of the headers."""
BODY_WITHIN_S = 10.0
MAX_CONNECTIONS = 1000
MAX_PROBE_CONNECTIONS = 100

PER_PEER = Rate(500, 2000)
ALTOGETHER = Rate(1000, 4000)
_MAX_PEERS_REMEMBERED = 4096


class RateLimit:
    """One token bucket for each of the last few thousand peers, and one for all of them."""

    def __init__(self, per_peer: Rate = PER_PEER, altogether: Rate = ALTOGETHER) -> None:
        self._per_peer = per_peer
        self._peers: OrderedDict[str, TokenBucket] = OrderedDict()
        self._altogether = TokenBucket(altogether, 0.0)

    def take(self, peer: str, now: float) -> float:
        """Returns the seconds that the peer should wait; 0 if it may go on. `now`: any clock that
        only goes forward. A peer over its own limit takes nothing from the others."""
        bucket = self._peers.get(peer) or TokenBucket(self._per_peer, now)
        self._peers[peer] = bucket
        self._peers.move_to_end(peer)
        if len(self._peers) > _MAX_PEERS_REMEMBERED:
            self._peers.popitem(last=False)
        return bucket.take(now) or self._altogether.take(now)
