"""One worker's cycle on a real disk with an archive. The test moves the clock and answers for the
gateways, so that many hours pass faster than in the real system."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from eagle_logger.archive.archive import Archive
from eagle_logger.archive.memory import MemoryArchive
from eagle_logger.core.hours import SECONDS_PER_HOUR, iso
from eagle_logger.core.kinds import Kind
from eagle_logger.core.line_format import value_text
from eagle_logger.core.line_parser import LineIdentity
from eagle_logger.core.paths import INDEX
from eagle_logger.core.readings import Reading
from eagle_logger.fetching.process_limits import ProcessLimits
from eagle_logger.logger import EagleDataLogger, RotationVolume
from eagle_logger.logs.folder import LogFolder
from eagle_logger.logs.reply_samples import ReplySamples
from eagle_logger.logs.writer import LogWriter
from eagle_logger.rotation.hours_to_rotate import hours_to_rotate
from eagle_logger.rotation.index_hours import index_hours
from eagle_logger.rotation.rotate_shard import rotate_shard
from eagle_logger.rotation.rotation_result import RotationResult
from eagle_logger.rotation.rotation_rules import RotationRules
from eagle_logger.users.memory.store import memory_store
from tests.support.archive_index import entries_held, entries_said, hours_in
from tests.support.hand_clock import HandClock
from tests.support.rotating import entries_in
from tests.support.scripted_relay import ScriptedRelay
from tests.support.users import new_user

GRACE, RETENTION = 600.0, 7200.0
HOME = "00ce69"
INTERVALS = {kind: 6.0 if kind is Kind.DEMAND else 1e9 for kind in Kind}

ArchivedReading = tuple[LineIdentity, bytes]
"""What identifies a reading, and its values as they stand in the line."""


class Node:
    """A log volume, and the worker that fetches and rotates on it. All nodes share the archive and
    the users."""

    def __init__(self, root: Path, world: World, *, shards: int = 16) -> None:
        self.folder = LogFolder(root / "logs")
        self.world = world
        self.logger = EagleDataLogger(
            schedule=world.store.schedule,
            source=world.relay,
            logs=LogWriter(self.folder.root, shards=shards, max_open=16, min_free_disk=0),
            samples=ReplySamples(root / "samples"),
            volume=RotationVolume(self.folder, lambda: world.archive, GRACE, RETENTION),
            clock=world.clock,
            intervals=INTERVALS,
            shards=shards,
            limits=ProcessLimits(pause_between_commits=0.0, request_gap=0.0),
            holder=str(root),
        )

    async def visit(self, *readings: Reading, cloud_id: str = HOME) -> None:
        """Let the gateway show these readings, and fetch them."""
        self.world.relay.always(cloud_id, *readings)
        self.world.shown.setdefault(cloud_id, set()).update(map(as_archived, readings))
        leased = (await self.world.store.schedule.request([cloud_id])).leased
        visits = [await self.logger.visit(claim) for claim in await self.logger.claim(leased)]
        assert [visit.outcome for visit in visits] == ["fetched"]
        await self.logger.log_and_report(visits)

    def rotate(self, *, include_open: bool = False) -> RotationResult:
        now, done = self.world.clock.now(), RotationResult()
        rules = RotationRules(self.folder, now, GRACE, RETENTION, include_open=include_open)
        for hour, shard in hours_to_rotate(rules):
            done += rotate_shard(rules, self.world.archive, hour, shard)
        assert not done.errors
        assert not index_hours(rules, self.world.archive).errors
        return done


class World:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.clock = HandClock()
        self.store = memory_store(self.clock)
        self.relay = ScriptedRelay()
        self.archive: Archive = MemoryArchive()
        self.shown: dict[str, set[ArchivedReading]] = {}
        self.nodes: list[Node] = []
        self.objects: dict[str, bytes] = {}
        self._index_objects: dict[str, bytes] = {}
        """Key → body, as first seen in the archive."""

    def node(self, *, shards: int = 16, disk: str = "") -> Node:
        """A worker on a disk of its own, or on the one of this name."""
        node = Node(self.root / (disk or f"disk-{len(self.nodes)}"), self, shards=shards)
        self.nodes.append(node)
        return node

    async def forget_state(self, cloud_id: str = HOME) -> None:
        """Add the user anew without its state, as after a FLUSHDB."""
        await self.store.users.remove(cloud_id)
        self.clock.advance(30)
        await self.store.users.put([new_user(cloud_id)])

    def later(self, seconds: float = SECONDS_PER_HOUR) -> None:
        """Let time pass, rotate on every node, and check that no object has changed."""
        self.clock.advance(seconds)
        for node in self.nodes:
            node.rotate()
        self.check_objects()

    def check_objects(self) -> None:
        for known, prefix in ((self.objects, "cloud_id="), (self._index_objects, INDEX)):
            for key in self.archive.keys(prefix):
                body = self.archive.get(key)
                assert known.setdefault(key, body) == body, f"{key} was written again"

    def settle(self) -> None:
        """Let so much time pass that every hour is archived, and then deleted on the nodes."""
        for _ in range(6):
            self.later()
        for node in self.nodes:
            assert node.folder.hours() == [], "local disk holds only what is open or retained"
        for hour in hours_in(self.archive):
            # Two nodes that both had the lines of an object both name it.
            said, held = entries_said(self.archive, hour), entries_held(self.archive, hour)
            assert sorted(set(said)) == held, "the index names each object of the hour"

    def archived(self, cloud_id: str = HOME) -> Counter[ArchivedReading]:
        objects = entries_in(self.archive)
        entries = [
            entry for key, several in objects.items() if f"={cloud_id}/" in key for entry in several
        ]
        return Counter((entry.identity, entry.values) for entry in entries)

    def assert_exactly_once(self) -> int:
        """Check that the archive holds each reading that was shown once; returns their number."""
        self.settle()
        for cloud_id, shown in self.shown.items():
            archived = self.archived(cloud_id)
            assert set(archived) == shown
            assert set(archived.values()) <= {1}
        return sum(map(len, self.shown.values()))

    @property
    def now(self) -> int:
        return int(self.clock.now())


def as_archived(reading: Reading) -> ArchivedReading:
    identity = (iso(reading.time), reading.device, reading.meter, str(reading.kind))
    time, device, meter, kind = (text.encode() for text in identity)
    return (time, device, meter, kind), value_text(reading.values).encode()


@asynccontextmanager
async def open_world(root: Path) -> AsyncIterator[World]:
    world = World(root)
    await world.store.users.put([new_user(HOME)])
    yield world
    for node in world.nodes:
        await node.logger.close()
