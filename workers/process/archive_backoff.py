"""Once the archive has failed, a worker archives nothing more in that round of rotation, even if
the archive comes back. The next round plans anew.

So the oldest hour goes first once the archive is back, wherever in a round it failed or came back.
An archive that hangs does not hold a rotator up for half a minute at every shard. The messages that
are skipped cost little.
"""

from __future__ import annotations


class ArchiveBackoff:
    """Remembers the last round of which this process skipped a message."""

    def __init__(self) -> None:
        self._skipped_round = ""

    def skips_round(self, round_id: str, *, archive_is_away: bool) -> bool:
        """Whether a message of this round must archive nothing: the archive is away, or it was away
        at an earlier message of the round. `round_id` is "" for a message that belongs to none."""
        if archive_is_away:
            self._skipped_round = round_id
            return True
        return bool(round_id) and round_id == self._skipped_round
