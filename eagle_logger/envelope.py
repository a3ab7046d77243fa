"""One message and its users: it waits for those who answer, never for the slowest, and says in words what became of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog

from eagle_logger.visit import FETCHED

_log = structlog.get_logger(__name__)

ASKED_ON = "asked_on"
"""Has answered; what else is due of it is asked for a little later, when the message has gone."""
STILL_OUT = "still_out"


@dataclass(slots=True)
class Outcome:
    """What became of one message's users, in words: `12 users, 11 fetched, 1 timed out`."""

    users: int
    counts: Counter[str] = field(default_factory=Counter)
    readings: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    """Who was not fetched, and why in a word."""

    def __str__(self) -> str:
        parts = (f"{count} {word.replace('_', ' ')}" for word, count in self.counts.most_common())
        return ", ".join([f"{self.users} user{'' if self.users == 1 else 's'}", *parts])


class Envelope:
    """Made, asked and waited for on one event loop. What is heard of a user counts once, and only while the message waits."""

    def __init__(self, cloud_ids: Iterable[str]) -> None:
        self._missing = set(cloud_ids)
        self._stragglers: frozenset[str] = frozenset()
        self._outcome = Outcome(len(self._missing))
        self._complete = asyncio.Event()
        self._look()

    def reported(self, cloud_id: str, outcome: str, readings: int) -> None:
        if cloud_id in self._missing:
            self._outcome.readings += readings
            if outcome != FETCHED:
                self._outcome.failed[cloud_id] = outcome
            self._hear(cloud_id, outcome)
        elif cloud_id in self._stragglers or outcome != FETCHED:
            # Its message had ended, with a line that could not say what became of it.
            _log.info("straggler", cloud_id=cloud_id, outcome=outcome, readings=readings)

    def asks_on(self, cloud_id: str) -> None:
        if cloud_id in self._missing:
            self._hear(cloud_id, ASKED_ON)

    async def wait(self, patience: float) -> Outcome:
        """Once everybody was heard of, or after so many seconds without the stragglers."""
        try:
            async with asyncio.timeout(patience):
                await self._complete.wait()
        except TimeoutError:
            self._outcome.counts[STILL_OUT] = len(self._missing)
            self._stragglers, self._missing = frozenset(self._missing), set()
        return self._outcome

    def _hear(self, cloud_id: str, word: str) -> None:
        self._missing.remove(cloud_id)
        self._outcome.counts[word] += 1
        self._look()

    def _look(self) -> None:
        if not self._missing:
            self._complete.set()
