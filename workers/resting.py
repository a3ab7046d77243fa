"""An archive that is away is left alone for a moment, and what waits for it in the queue is left for the next round.

Messages are cheap and the next round plans anew: so once the archive is back, the oldest hour goes first again, wherever in the
last round it went away or came back; and an archive that hangs does not hold a rotator up for half a minute at every shard.
"""

from __future__ import annotations

from eagle_logger.rotation import Rotated

PATIENCE = 3
"""Shards in a row for which the archive took nothing: one user's trouble is not everybody's."""
REST = 10.0
"""Seconds."""

Moment = float


class Rest:
    """Of one process. Moments are monotonic seconds."""

    def __init__(self) -> None:
        self._in_a_row = 0
        self._until: Moment = float("-inf")
        self._left_round = ""

    def covers(self, round_: str, now: Moment) -> bool:
        """Whether a message of this round is left: during a rest, and after it the rest of a round of which older hours were
        left."""
        if now < self._until:
            self._left_round = round_
            return True
        return bool(round_) and round_ == self._left_round

    def note(self, rotated: Rotated, now: Moment) -> None:
        """What came of a shard."""
        if rotated.objects:
            self._in_a_row = 0
        elif rotated.deferred and rotated.errors:
            self._in_a_row += 1
            if self._in_a_row >= PATIENCE:
                self._until = now + REST
