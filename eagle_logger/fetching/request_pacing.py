"""When one gateway may be asked, and at which times it was asked.

A claim brings times of the users' store, which an accelerated test clock stretches; pauses and
deadlines are real seconds of `time.monotonic()`. `_monotonic` and `_store_time` convert between the
two. The event loop's own time is not used, because it may lag behind.
"""

from __future__ import annotations

import asyncio
import time

from eagle_logger.clock import Clock
from eagle_logger.fetching.process_limits import ProcessLimits
from eagle_logger.users.store import Claim


class RequestPacing:
    """The times of one visit's requests.

    `received` is the monotonic time at which the claim arrived. Without it, the claim may have been
    delayed, and does not count as the first request.
    """

    def __init__(
        self, claim: Claim, clock: Clock, limits: ProcessLimits, received: float | None = None
    ) -> None:
        now = time.monotonic()
        self.requests = 0
        self.last_request: float | None = None
        """When the last request was written to its connection (monotonic), or started if it was
        never written."""
        self.lateness: float | None = None
        """Real seconds from the due time to the start of the first request."""
        self._claim, self._clock, self._limits = claim, clock, limits
        self._received = now if received is None else received
        self._deadline = now + limits.deadline
        self._claim_counts_until = float("-inf")
        if claim.begun and received is not None:
            self._claim_counts_until = received + limits.claim_counts_as_request_within
        self._gap_starts = float("-inf")
        if claim.last_request is not None:
            self._gap_starts = self._monotonic(claim.last_request)

    @property
    def asked(self) -> float:
        """When the last request was written, in the store's time."""
        return self._store_time(self._gap_starts)

    @property
    def now(self) -> float:
        """The store's time, as far as this process knows it."""
        return self._store_time(time.monotonic())

    def claim_counts_as_request(self) -> bool:
        """Whether the store has noted the next request with the claim that was just made."""
        return not self.requests and time.monotonic() < self._claim_counts_until

    async def wait_for_gap(self) -> None:
        """Wait until the request gap since the last request has passed."""
        remaining = self._gap_starts + self._limits.request_gap - time.monotonic()
        if remaining > 0:
            await asyncio.sleep(remaining)

    def note_start(self) -> None:
        """Note that a request starts now. Its connection may take a while to open."""
        self._gap_starts = self.last_request = time.monotonic()
        self.requests += 1
        if self.lateness is None:
            self.lateness = max(0.0, self.last_request - self._monotonic(self._claim.due))

    def before_writing(self) -> None:
        """Note that the connection is open and the request is about to be written. The request gap
        counts from this moment.

        Raises TimeoutError after the deadline: a process that was stopped meanwhile may have lost
        its claim.
        """
        now = time.monotonic()
        if now > self._deadline:
            raise TimeoutError("the connection opened only after the deadline")
        self._gap_starts = self.last_request = now

    def _monotonic(self, store_time: float) -> float:
        return self._received + self._clock.real(store_time - self._claim.claimed_at)

    def _store_time(self, monotonic: float) -> float:
        return self._claim.claimed_at + self._clock.stretched(monotonic - self._received)
