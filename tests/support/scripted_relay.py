"""A relay that gives the answers a test scripted, and records when and how often it was asked."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from decimal import Decimal

from eagle_logger.core.kinds import Kind
from eagle_logger.core.readings import Reading
from eagle_logger.core.users import Credentials
from eagle_logger.rainforest.source import Decoded

DEVICE = "0xd8d5b90000000001"
METER = "0x0013500100000001"

Answer = Callable[[Credentials, Kind], Awaitable[Decoded]]


def demand(time: int, value: str = "0.944") -> Reading:
    raw = {"Demand": "0x0003b0"}
    return Reading(DEVICE, METER, Kind.DEMAND, time, {"value": Decimal(value), "unit": "kW"}, raw)


def holding(*readings: Reading) -> Decoded:
    return Decoded(readings, (), known=True)


class ScriptedRelay:
    """Answers with `answers[cloud_id]`, or else with no reading."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: dict[str, list[tuple[Kind, float]]] = defaultdict(list)
        self.in_flight: Counter[str] = Counter()
        self.most_in_flight: Counter[str] = Counter()
        self.closed = False
        self.connecting: list[float] = []
        """Seconds that each of the next connections takes."""

    async def ask(
        self,
        credentials: Credentials,
        kind: Kind,
        mac_id: str | None,
        before_writing: Callable[[], None],
    ) -> Decoded:
        cloud_id = credentials.cloud_id
        await asyncio.sleep(self.connecting.pop(0) if self.connecting else 0)
        before_writing()
        self.asked[cloud_id].append((kind, time.monotonic()))
        self.in_flight[cloud_id] += 1
        self.most_in_flight[cloud_id] = max(self.most_in_flight[cloud_id], self.in_flight[cloud_id])
        try:
            answer = self.answers.get(cloud_id)
            return holding() if answer is None else await answer(credentials, kind)
        finally:
            self.in_flight[cloud_id] -= 1

    async def close(self) -> None:
        self.closed = True

    def always(self, cloud_id: str, *readings: Reading) -> None:
        """Answer every request for demand with these readings, any other with none."""

        async def answer(_: Credentials, kind: Kind) -> Decoded:
            return holding(*readings) if kind is Kind.DEMAND else holding()

        self.answers[cloud_id] = answer

    def fails(self, cloud_id: str, error: Exception) -> None:
        async def answer(_: Credentials, __: Kind) -> Decoded:
            raise error

        self.answers[cloud_id] = answer

    def hangs(self, cloud_id: str) -> None:
        async def answer(_: Credentials, __: Kind) -> Decoded:
            await asyncio.Event().wait()
            raise AssertionError

        self.answers[cloud_id] = answer

    def keeps_waiting(self, cloud_id: str) -> tuple[asyncio.Event, asyncio.Event]:
        """Two events: the first is set once the user has been asked; the answer waits until the
        test sets the second."""
        entered, go_on = asyncio.Event(), asyncio.Event()

        async def answer(_: Credentials, __: Kind) -> Decoded:
            entered.set()
            await go_on.wait()
            return holding()

        self.answers[cloud_id] = answer
        return entered, go_on
