"""What bounds one process that fetches."""

from __future__ import annotations

from dataclasses import dataclass

from eagle_logger.core.schedule import REQUEST_GAP


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """Times are real seconds, whatever the speed of the clock."""

    max_in_flight: int = 2000
    """Users asked at once. One message with more users than that is fetched all the same, alone."""
    held_per_in_flight: int = 4
    """The process holds at most this many times `max_in_flight` claimed users. The rest of them
    wait for a slow disk or Redis."""
    deadline: float = 10.0
    """The longest that a visit may ask. A request is never written after it."""
    stragglers_detached_after: float = 1.0
    """After this time a message ends without its stragglers; their visits go on."""
    pause_between_commits: float = 0.2
    """Visits that end within it are logged and reported together."""
    pause_between_disk_tries: float = 1.0
    """The pause before readings are written again to a volume that was full or failed."""
    request_gap: float = REQUEST_GAP
    """Only tests shorten it: a real gateway freezes when it is asked twice within a second."""
    claim_counts_as_request_within: float = 0.08
    """If the claim's round trip and the delay before the first request each take less than this,
    the time of the claim stands for the time of the request, and the store is not asked again
    before it. `REQUEST_GAP` allows for twice this."""

    @property
    def max_held(self) -> int:
        """Users that are claimed and not reported yet, at most."""
        return self.held_per_in_flight * self.max_in_flight
