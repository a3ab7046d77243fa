"""While the archive is away, the rest of a round of rotation is left for the next round, even if
the archive comes back.

Messages are cheap and the next round plans anew: so once the archive is back, the oldest hour goes
first again, wherever in the last round it went away or came back; and an archive that hangs does
not hold a rotator up for half a minute at every shard.
"""

from __future__ import annotations


class ArchiveBackoff:
    """The rounds that one process leaves."""

    def __init__(self) -> None:
        self._left_round = ""

    def covers(self, round_: str, *, is_away: bool) -> bool:
        """Whether a message of this round must archive nothing: the archive is away, or older hours
        of the round were left while it was."""
        if is_away:
            self._left_round = round_
            return True
        return bool(round_) and round_ == self._left_round
