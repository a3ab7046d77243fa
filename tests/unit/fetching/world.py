"""A worker process's `EagleDataLogger` on stand-ins in memory."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from eagle_logger.archive.archive import Archive
from eagle_logger.clock import Clock
from eagle_logger.core.hours import Hour
from eagle_logger.core.kinds import Kind
from eagle_logger.core.schedule import Grid
from eagle_logger.errors import DiskUnavailable
from eagle_logger.fetching.process_limits import ProcessLimits
from eagle_logger.logger import EagleDataLogger, RotationVolume
from eagle_logger.logs.folder import LogFolder
from eagle_logger.logs.writer import AppendResult
from eagle_logger.rainforest.source import ReadingSource
from eagle_logger.users.memory.store import memory_store
from eagle_logger.users.store import Claim, Report, StoredUser
from tests.support.scripted_relay import ScriptedRelay
from tests.support.users import new_user

HOME, OTHER = "00ce69", "002738"
FLEET = {Kind.DEMAND: 6.0, Kind.SUMMATION: 240.0, Kind.PRICE: 300.0, Kind.MESSAGE: 900.0}
DEMAND_ONLY = {**FLEET, **dict.fromkeys((Kind.SUMMATION, Kind.PRICE, Kind.MESSAGE), 1e9)}
SHARDS = 16
QUICK = ProcessLimits(
    stragglers_detached_after=5.0,
    pause_between_commits=0.01,
    pause_between_disk_tries=0.01,
    request_gap=0.05,
)


@dataclass
class MemoryLogs:
    """Log files that are lists, on a disk that a test can fill."""

    lines: dict[tuple[str, Hour], list[bytes]] = field(default_factory=dict)
    full: threading.Event = field(default_factory=threading.Event)
    refused: threading.Event = field(default_factory=threading.Event)
    closed: bool = False
    most_lines_an_hour: int = 1_000_000
    """Of one user."""

    def append(self, batch: Mapping[tuple[str, Hour], Sequence[bytes]]) -> AppendResult:
        self.check()
        left_out: dict[str, int] = {}
        for (cloud_id, hour), lines in batch.items():
            kept = self.lines.setdefault((cloud_id, hour), [])
            room = self.most_lines_an_hour - len(kept)
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
    def __init__(self, folder: Path) -> None:
        self.store = memory_store(Clock())
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
        limits: ProcessLimits = QUICK,
        clock: Clock | None = None,
        source: ReadingSource | None = None,
    ) -> EagleDataLogger:
        return EagleDataLogger(
            schedule=self.store.schedule,
            source=source or self.relay,
            logs=self.logs,
            samples=self.samples,
            volume=self.volume,
            clock=clock or Clock(),
            intervals=intervals,
            shards=SHARDS,
            limits=limits,
            holder=holder,
        )

    async def add(self, *cloud_ids: str) -> None:
        """Add users of whom only demand is due, so that a visit is one request."""
        await self.add_new(*cloud_ids)
        now = await self.store.fleet.now()
        for cloud_id in cloud_ids:
            await self.store.schedule.request([cloud_id])
            for claim in await self.store.schedule.claim([cloud_id], "setup"):
                state = claim.state._replace(asked=dict.fromkeys(Kind, now))
                await self.store.schedule.report(
                    [Report(cloud_id, claim.token, state, Grid(6.0, 0.0))], {}
                )

    async def add_new(self, *cloud_ids: str) -> None:
        """Add users of whom every kind is due, and whose credentials have never worked."""
        await self.store.users.put([new_user(cloud_id) for cloud_id in cloud_ids])

    async def lease(self, *cloud_ids: str) -> list[str]:
        return list((await self.store.schedule.request(cloud_ids)).leased)

    async def claim(self, cloud_id: str) -> Claim:
        [claim] = await self.logger.claim(await self.lease(cloud_id))
        return claim

    async def stored(self, cloud_id: str) -> StoredUser:
        stored = await self.store.users.get(cloud_id)
        assert stored is not None
        return stored

    async def is_idle(self, cloud_id: str) -> bool:
        return (await self.stored(cloud_id)).lease_ends is None


def _no_archive() -> Archive:
    raise AssertionError("fetching needs no archive")
