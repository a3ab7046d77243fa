"""One message and its users: it waits for those who answer, never for the slowest, and says in
words what became of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import structlog

from eagle_logger.fetching.visit import FETCHED

_log = structlog.get_logger("eagle_logger.fetching")

ASKED_ON = "asked_on"
"""Has answered; what else is due of it is asked for a little later, when the message has gone."""
STILL_OUT = "still_out"


@dataclass(slots=True)
class MessageOutcome:
    """What became of one message's users, in words: `12 users, 11 fetched, 1 timed out`."""

    users: int
    counts: Counter[str] = field(default_factory=Counter)
    readings: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    """Who was not fetched, and why in a word."""

    def note(self, cloud_id: str, outcome: str, readings: int) -> None:
        self.counts[outcome] += 1
        self.readings += readings
        if outcome != FETCHED:
            self.failed[cloud_id] = outcome

    def words(self) -> dict[str, Any]:
        """As it goes into a log line."""
        return {**self.counts, **({"failed": self.failed} if self.failed else {})}

    def __str__(self) -> str:
        parts = (f"{count} {word.replace('_', ' ')}" for word, count in self.counts.most_common())
        return ", ".join([f"{self.users} user{'' if self.users == 1 else 's'}", *parts])


class MessageProgress:
    """Made, asked and waited for on one event loop. What is heard of a user counts once, and only
    while the message waits; what became of those it did not wait for is one line in the log, if
    there was anything out of the ordinary."""

    def __init__(self, cloud_ids: Iterable[str]) -> None:
        self._missing = set(cloud_ids)
        self._outcome = MessageOutcome(len(self._missing))
        self._complete = asyncio.Event()
        self._later: set[str] = set()
        self._stragglers: list[str] = []
        self._afterwards = MessageOutcome(0)
        self._look()

    def reported(self, cloud_id: str, outcome: str, readings: int) -> None:
        if cloud_id in self._missing:
            self._outcome.note(cloud_id, outcome, readings)
            self._heard_of(cloud_id)
        elif cloud_id in self._later:
            self._afterwards.note(cloud_id, outcome, readings)
            self._later.remove(cloud_id)
            self._look_back()

    def asks_on(self, cloud_id: str) -> None:
        if cloud_id in self._missing:
            self._outcome.counts[ASKED_ON] += 1
            self._later.add(cloud_id)
            self._heard_of(cloud_id)

    async def wait(self, patience: float) -> MessageOutcome:
        """Once everybody was heard of, or after so many seconds without the stragglers."""
        try:
            async with asyncio.timeout(patience):
                await self._complete.wait()
        except TimeoutError:
            self._outcome.counts[STILL_OUT] = len(self._missing)
            self._stragglers = sorted(self._missing)
            self._later |= self._missing
            self._missing = set()
        return self._outcome

    def _heard_of(self, cloud_id: str) -> None:
        self._missing.remove(cloud_id)
        self._look()

    def _look(self) -> None:
        if not self._missing:
            self._complete.set()

    def _look_back(self) -> None:
        found = self._afterwards
        if self._missing or self._later or not (self._stragglers or found.failed):
            return
        _log.info(
            "stragglers", cloud_ids=self._stragglers, readings=found.readings, **found.words()
        )
