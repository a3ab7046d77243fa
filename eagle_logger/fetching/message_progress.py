"""What became of one message's users: counted while the message waits for them, and logged for
those that it does not wait for."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import structlog

from eagle_logger.fetching.visit import FETCHED

_log = structlog.get_logger("eagle_logger.fetching")

PARTLY_FETCHED = "partly_fetched"
"""The gateway has answered, and is asked for more once the message has ended."""
STILL_OUT = "still_out"
"""The gateway had not answered when the message ended."""


@dataclass(slots=True)
class MessageOutcome:
    """As text: `12 users, 11 fetched, 1 timed out`."""

    users: int
    counts: Counter[str] = field(default_factory=Counter)
    """Users by outcome."""
    readings: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    """The outcomes of the users who were not fetched, by cloud id."""

    def add(self, cloud_id: str, outcome: str, readings: int) -> None:
        self.counts[outcome] += 1
        self.readings += readings
        if outcome != FETCHED:
            self.failed[cloud_id] = outcome

    def log_fields(self) -> dict[str, Any]:
        return {**self.counts, **({"failed": self.failed} if self.failed else {})}

    def __str__(self) -> str:
        users = f"{self.users} user{'' if self.users == 1 else 's'}"
        outcomes = self.counts.most_common()
        return ", ".join(
            [users, *(f"{count} {name.replace('_', ' ')}" for name, count in outcomes)]
        )


class MessageProgress:
    """For one event loop. Each user counts once in the message's outcome.

    A message does not wait for stragglers, nor for the further requests to a gateway that has
    answered. Once the last of those visits has ended, one event `stragglers` logs how all of them
    ended, unless there were no stragglers and no visit failed.
    """

    def __init__(self, cloud_ids: Iterable[str]) -> None:
        self._awaited = set(cloud_ids)
        self._outcome = MessageOutcome(len(self._awaited))
        self._nobody_awaited = asyncio.Event()
        self._detached: set[str] = set()
        """Users whose visits go on, and for whom the message does not wait."""
        self._detached_outcome = MessageOutcome(0)
        self._stragglers: list[str] = []
        if not self._awaited:
            self._nobody_awaited.set()

    def note_end(self, cloud_id: str, outcome: str, readings: int) -> None:
        """Note that the visit to this user has ended."""
        if cloud_id in self._awaited:
            self._outcome.add(cloud_id, outcome, readings)
            self._stop_awaiting(cloud_id)
        elif cloud_id in self._detached:
            self._detached_outcome.add(cloud_id, outcome, readings)
            self._detached.remove(cloud_id)
            self._log_after_last_detached()

    def note_further_request(self, cloud_id: str) -> None:
        """Note that this user's gateway has answered, and is going to be asked for more."""
        if cloud_id in self._awaited:
            self._outcome.counts[PARTLY_FETCHED] += 1
            self._detached.add(cloud_id)
            self._stop_awaiting(cloud_id)

    async def wait(self, seconds: float) -> MessageOutcome:
        """Wait until no user is awaited any more, but no longer than `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._nobody_awaited.wait()
        except TimeoutError:
            self._outcome.counts[STILL_OUT] = len(self._awaited)
            self._stragglers = sorted(self._awaited)
            self._detached |= self._awaited
            self._awaited = set()
        return self._outcome

    def _stop_awaiting(self, cloud_id: str) -> None:
        self._awaited.remove(cloud_id)
        if not self._awaited:
            self._nobody_awaited.set()

    def _log_after_last_detached(self) -> None:
        outcome = self._detached_outcome
        if self._awaited or self._detached or not (self._stragglers or outcome.failed):
            return
        _log.info(
            "stragglers",
            cloud_ids=self._stragglers,
            readings=outcome.readings,
            **outcome.log_fields(),
        )
