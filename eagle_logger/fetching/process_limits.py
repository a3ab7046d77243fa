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
    """Users that the process has claimed and not reported, at most, as a multiple of
    `max_in_flight`. Those that are not in flight wait for a slow disk or Redis."""
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
    """A claim records a first request that starts at once (`Claim.begun`). That record counts if
    the claim's round trip took less than this, and if the request starts within this time after it.
    Otherwise the worker records the request anew, with `begin`. `REQUEST_GAP` allows for twice
    this."""

    @property
    def max_held(self) -> int:
        """See `held_per_in_flight`."""
        return self.held_per_in_flight * self.max_in_flight
