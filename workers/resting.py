"""While the archive is away, and after it, the rest of a round of rotation is left for the next one.

Messages are cheap and the next round plans anew: so once the archive is back, the oldest hour goes first again, wherever in the
last round it went away or came back; and an archive that hangs does not hold a rotator up for half a minute at every shard.
"""

from __future__ import annotations


class Rest:
    """Of one process."""

    def __init__(self) -> None:
        self._left_round = ""

    def covers(self, round_: str, *, is_away: bool) -> bool:
        """Whether a message of this round archives nothing: while the archive is away, and then until the end of a round of
        which older hours were left."""
        if is_away:
            self._left_round = round_
            return True
        return bool(round_) and round_ == self._left_round
