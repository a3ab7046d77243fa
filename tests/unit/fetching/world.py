"""One worker process's logger, and what surrounds it, in memory."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from eagle_logger.archive.archive import Archive
from eagle_logger.clock import Clock
from eagle_logger.core.cadence import Grid
from eagle_logger.core.hours import Hour
from eagle_logger.core.kinds import Kind
from eagle_logger.core.users import Credentials, User
from eagle_logger.errors import (
    DiskUnavailable,
)
from eagle_logger.logger import EagleDataLogger, Limits, RotationVolume
from eagle_logger.logs.appender import AppendResult
from eagle_logger.logs.folder import LogFolder
from eagle_logger.rainforest.source import ReadingSource
from eagle_logger.users.memory.store import MemoryUserStore
from eagle_logger.users.store import Claim, NewUser, Report
from tests.support.scripted_relay import ScriptedRelay

HOME, OTHER = "00ce69", "002738"
FLEET = {Kind.DEMAND: 6.0, Kind.SUMMATION: 240.0, Kind.PRICE: 300.0, Kind.MESSAGE: 900.0}
DEMAND_ONLY = {**FLEET, **dict.fromkeys((Kind.SUMMATION, Kind.PRICE, Kind.MESSAGE), 1e9)}


@dataclass
class MemoryLogs:
    """Log files that are lists, and a disk that is full when a test says so."""

    lines: dict[tuple[str, Hour], list[bytes]] = field(default_factory=dict)
    full: threading.Event = field(default_factory=threading.Event)
    refused: threading.Event = field(default_factory=threading.Event)
    closed: bool = False
    most_lines: int = 1_000_000
    """Of a user and hour."""

    def append(self, batch: Mapping[tuple[str, Hour], Sequence[bytes]]) -> AppendResult:
        self.check()
        left_out: dict[str, int] = {}
        for (cloud_id, hour), lines in batch.items():
            kept = self.lines.setdefault((cloud_id, hour), [])
            room = self.most_lines - len(kept)
            kept.extend(lines[:room])
            if len(lines) > room:
                left_out[cloud_id] = len(lines) - room
        return AppendResult(left_out=left_out)

    def check(self) -> None:
        if self.full.is_set():
            self.refused.set()
            raise DiskUnavailable("no space left")

    def close(self) -> None:
        self.closed = True

    @property
    def all(self) -> list[bytes]:
        return [line for lines in self.lines.values() for line in lines]


@dataclass
class MemorySamples:
    kept: list[tuple[str, str]] = field(default_factory=list)

    def keep_sample(self, cloud_id: str, when: float, text: str) -> None:
        self.kept.append((cloud_id, text))


class World:
    """One worker process's logger, and what surrounds it."""

    def __init__(self, folder: Path) -> None:
        self.store = MemoryUserStore(Clock())
        self.relay = ScriptedRelay()
        self.logs = MemoryLogs()
        self.samples = MemorySamples()
        self.volume = RotationVolume(LogFolder(folder), _no_archive, 600, 86400)
        self.logger = self.worker("fetch-1")

    def worker(
        self,
        holder: str,
        *,
        intervals: Mapping[Kind, float] = DEMAND_ONLY,
        limits: Limits | None = None,
        relay: ReadingSource | None = None,
    ) -> EagleDataLogger:
        return EagleDataLogger(
            users=self.store,
            relay=relay or self.relay,
            logs=self.logs,
            samples=self.samples,
            volume=self.volume,
            clock=Clock(),
            intervals=intervals,
            limits=limits or Limits(),
            holder=holder,
        )

    async def add(self, *cloud_ids: str) -> None:
        await self.store.put(
            [
                NewUser(User(one), Credentials(one, "someone@example.org", "not a real one"))
                for one in cloud_ids
            ]
        )
        now = await self.store.now()
        for (
            one
        ) in cloud_ids:  # asked a moment ago for all but demand, so that a visit is one request
            await self.store.request([one])
            for claim in await self.store.claim([one], "setup"):
                asked = claim.state._replace(asked=dict.fromkeys(Kind, now))
                await self.store.report([Report(one, claim.token, asked, Grid(6.0, 0.0))], {})

    async def lease(self, *cloud_ids: str) -> list[str]:
        return list((await self.store.request(cloud_ids)).leased)

    async def is_idle(self, cloud_id: str) -> bool:
        stored = await self.store.get(cloud_id)
        return stored is not None and stored.lease_ends is None


def _no_archive() -> Archive:
    raise AssertionError("fetching needs no archive")


async def claimed(world: World, cloud_id: str) -> list[Claim]:
    await world.lease(cloud_id)
    return await world.logger.fetch_user_info([cloud_id])
