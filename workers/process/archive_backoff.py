"""After the archive failed, the rest of that round of rotation is left for the next round, even if
the archive comes back.

Messages are cheap, and the next round plans anew. So the oldest hour goes first again once the
archive is back, wherever in a round it failed or came back; and an archive that hangs does not hold
a rotator up for half a minute at every shard.
"""

from __future__ import annotations


class ArchiveBackoff:
    """Remembers the last round of which this process left something."""

    def __init__(self) -> None:
        self._left_round = ""

    def leaves(self, round_id: str, *, archive_is_away: bool) -> bool:
        """Whether a message of this round must archive nothing: the archive is away, or older hours
        of the round were left while it was."""
        if archive_is_away:
            self._left_round = round_id
            return True
        return bool(round_id) and round_id == self._left_round
