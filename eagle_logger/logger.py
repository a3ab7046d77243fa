"""One cycle: users fall due and are asked, their new readings are logged and fsynced, and only then
does their state move on."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

import structlog

from eagle_logger.archive.archive import Archive
from eagle_logger.clock import Clock
from eagle_logger.core import paths
from eagle_logger.core.hours import Hour, Moment, unix
from eagle_logger.core.kinds import KINDS, Kind
from eagle_logger.core.readings import Reading
from eagle_logger.core.users import User
from eagle_logger.errors import RedisUnavailable
from eagle_logger.fetching.batching import Batcher
from eagle_logger.fetching.log_volume import LogAppender, LogVolume, SampleKeeper
from eagle_logger.fetching.message_progress import MessageOutcome, MessageProgress
from eagle_logger.fetching.process_limits import ProcessLimits
from eagle_logger.fetching.visit import LOST, Visit
from eagle_logger.fetching.visitor import Visitor
from eagle_logger.fetching.weighted_semaphore import WeightedSemaphore
from eagle_logger.logs.folder import LogFolder
from eagle_logger.rainforest.source import ReadingSource
from eagle_logger.rotation.archive_reach import ArchiveReach
from eagle_logger.rotation.hours_to_rotate import hours_to_rotate
from eagle_logger.rotation.index_hours import IndexResult, index_hours
from eagle_logger.rotation.rotate_shard import rotate_shard
from eagle_logger.rotation.rotation_result import RotationResult
from eagle_logger.rotation.rotation_rules import RotationRules
from eagle_logger.users.store import Claim, Schedule

_log = structlog.get_logger(__name__)

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

UserInfo = User | Mapping[str, Any]
"""A user, or a mapping with `cloud_id`."""


@dataclass(frozen=True, slots=True)
class RotationVolume:
    """The node's log volume, and what its rotation needs. `archive` makes the client when it is
    first called. Times are in seconds of the clock."""

    folder: LogFolder
    archive: Callable[[], Archive]
    grace: float
    retention: float


class _ClassOrInstanceMethod(Generic[Arguments, Result]):
    """A method whose first argument is the instance or, if it is called on the class, the class. So
    it reads the instance's setting, or the class's default."""

    def __init__(self, function: Callable[Concatenate[Any, Arguments], Result]) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    def __get__(self, instance: object | None, owner: type) -> Callable[Arguments, Result]:
        return MethodType(self._function, owner if instance is None else instance)


class EagleDataLogger:
    """The business logic for a batch of users at a time, on one event loop. Tasks, the command
    line, the HTTP server and tests call it.

    A cycle is `run_cycle`; its steps are `claim`, `visit`, `log_and_report` and `rearm`. The names
    of 2015 stand below: aliases of these, and pure methods.
    """

    shards: int = paths.DEFAULT_SHARDS
    """On the class: the default of EAGLE_SHARDS. On an instance: the number it was made with."""
    demand_interval: float = KINDS[Kind.DEMAND].default_interval
    """Seconds. On the class: the default of EAGLE_DEMAND_INTERVAL. On an instance: that of its
    `intervals`."""

    def __init__(
        self,
        *,
        schedule: Schedule,
        source: ReadingSource,
        logs: LogAppender,
        samples: SampleKeeper,
        volume: RotationVolume,
        clock: Clock,
        intervals: Mapping[Kind, float],
        shards: int,
        limits: ProcessLimits,
        holder: str,
        in_step: bool = True,
    ) -> None:
        self._schedule = schedule
        self.shards = shards
        self.demand_interval = intervals[Kind.DEMAND]
        self._source = source
        self._samples = samples
        self._rotation_volume = volume
        self._archive_reach = ArchiveReach(volume.archive)
        self._clock = clock
        self._limits = limits
        self._holder = holder
        self._in_flight = WeightedSemaphore(limits.max_in_flight)
        self._held = WeightedSemaphore(limits.max_held)
        self._log_volume = LogVolume(logs, retry_pause=limits.pause_between_disk_tries)
        self._visitor = Visitor(
            schedule=schedule,
            source=source,
            log_volume=self._log_volume,
            clock=clock,
            intervals=intervals,
            limits=limits,
            in_step=in_step,
        )
        self._reports: Batcher[Visit, bool] = Batcher(
            self.log_and_report, pause=limits.pause_between_commits
        )
        self._visits: set[asyncio.Task[None]] = set()
        self._stopping = False

    # One cycle: claim, visit, log and report, re-arm ------------------------------------------

    async def run_cycle(self, cloud_ids: Sequence[str]) -> MessageOutcome:
        """Claim these users, ask their gateways, log what is new, and re-arm them.

        Returns once every user has been reported, or has answered and is asked for more; in any
        case after `stragglers_detached_after`. Visits that have not ended by then go on. Raises
        RedisUnavailable. Raises DiskUnavailable, and claims nothing, if the log volume cannot be
        written.
        """
        await self._log_volume.ensure_writable()
        claims = await self._claim_when_there_is_room(cloud_ids)
        progress = MessageProgress(claim.cloud_id for claim in claims)
        for claim in claims:
            self._run_in_background(self._serve(claim, time.monotonic(), progress))
        return await progress.wait(self._limits.stragglers_detached_after)

    async def claim(self, cloud_ids: Sequence[str]) -> list[Claim]:
        """Claim those of these users that may be fetched now, with their credentials and state: one
        round trip. After a slow one, no claim counts as the first request any more
        (`claim_counts_as_request_within`)."""
        sent = time.monotonic()
        claims = await self._schedule.claim(cloud_ids, self._holder)
        if time.monotonic() < sent + self._limits.claim_counts_as_request_within:
            return claims
        return [claim._replace(begun=False) for claim in claims]

    async def visit(
        self,
        claim: Claim,
        *,
        received: float | None = None,
        on_further_request: Callable[[str], None] = lambda _: None,
    ) -> Visit:
        """Ask one gateway for all that is due, one request at a time and never two within a second.

        `received` is the monotonic time at which the claim arrived, if nothing has delayed it
        since. `on_further_request` is called with the cloud id when the gateway has answered and is
        going to be asked for more. Never raises for what a gateway does.
        """
        return await self._visitor.visit(claim, received, on_further_request)

    async def log_and_report(self, visits: Sequence[Visit]) -> list[bool]:
        """Log what these visits brought, fsync, and only then move their users' state on.

        Returns for each visit whether another fetch of its user was requested meanwhile. If so, the
        claim is still held.
        """
        if lines := _lines_by_file(visits):
            written = await self._log_volume.append(lines, stopping=lambda: self._stopping)
            for visit in visits:
                if left_out := written.left_out.get(visit.claim.cloud_id, 0):
                    visit.note_left_out(left_out)
        self._keep_samples(visits)
        return await self.rearm(visits)

    async def rearm(self, visits: Sequence[Visit]) -> list[bool]:
        """Write the users' state and next due times, and add to the system's counters: one round
        trip. Returns the same as `log_and_report`."""
        reported = [visit for visit in visits if visit.outcome != LOST]
        tally: Counter[str] = Counter(log_commits=int(any(visit.lines for visit in visits)))
        for visit in reported:
            visit.add_to(tally)
        try:
            result = await self._schedule.report([visit.report() for visit in reported], tally)
        except RedisUnavailable as exc:
            _log.warning(
                "state_not_written",
                cloud_ids=[visit.claim.cloud_id for visit in reported],
                users=len(reported),
                reason=str(exc),
                detail="the readings are logged; the users fall due again with their old state, "
                "so some readings may be logged twice",
            )
            return [False] * len(visits)
        return [visit.claim.cloud_id in result.again for visit in visits]

    # How a cycle runs in this process ---------------------------------------------------------

    async def _claim_when_there_is_room(self, cloud_ids: Sequence[str]) -> list[Claim]:
        """Wait until this process has room for all of these users, then claim them. Users that
        cannot be claimed leave their room to others."""
        claimed = 0
        await self._held.acquire(len(cloud_ids))
        try:
            await self._in_flight.acquire(len(cloud_ids))
            try:
                claims = await self.claim(cloud_ids)
                claimed = len(claims)
            finally:
                self._in_flight.release(len(cloud_ids) - claimed)
        finally:
            self._held.release(len(cloud_ids) - claimed)
        return claims

    async def _serve(self, claim: Claim, received: float, progress: MessageProgress) -> None:
        """Visit and report one user, and repeat both while another fetch was requested meanwhile.

        The user has a place of `_in_flight`, for the visit, and one of `_held`, until the end.
        """
        try:
            while True:
                try:
                    visit = await self._visitor.visit(
                        claim, received, progress.note_further_request
                    )
                finally:
                    self._in_flight.release(1)
                fetch_again = await self._reports.add(visit)
                if not fetch_again or self._stopping:
                    progress.note_end(claim.cloud_id, visit.outcome, len(visit.readings))
                    return
                await self._in_flight.acquire(1)
                now = time.monotonic()
                claim = visit.claim_for_another_round(self._clock.stretched(now - received))
                received = now
        finally:
            self._held.release(1)

    def _run_in_background(self, visit: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(visit)
        self._visits.add(task)
        task.add_done_callback(self._visits.discard)

    def _keep_samples(self, visits: Sequence[Visit]) -> None:
        now = self._clock.now()
        for visit in visits:
            for problem in visit.problems:
                if problem.sample:
                    sample = f"{problem.what}: {problem.sample}"
                    cloud_id = visit.claim.cloud_id
                    self._log_volume.submit(self._samples.keep_sample, cloud_id, now, sample)

    @property
    def has_visits(self) -> bool:
        """Whether a visit is under way, or what it brought is not on disk yet."""
        return bool(self._visits)

    @property
    def disk_trouble(self) -> str | None:
        """Why fetching has stopped, if it has: the log volume is full or cannot be written."""
        return self._log_volume.trouble

    async def close(self) -> None:
        """Wait for the visits under way (each has its deadline), then close what is open."""
        self._stopping = True
        while self._visits:
            await asyncio.wait(self._visits)
        await self._source.close()
        await self._log_volume.close()

    # Rotation: closed hours to the archive ----------------------------------------------------

    def plan_rotation(
        self, *, include_open: bool = False, heed_pauses: bool = True
    ) -> list[tuple[Hour, str]]:
        """The hours and shards of this node that have something to archive or to delete, oldest
        first. Shards that have work only for stuck users come last; with `heed_pauses`, only once
        a stuck hour's pause is over. Blocking."""
        rules = self._rotation_rules(include_open=include_open, heed_pauses=heed_pauses)
        return hours_to_rotate(rules)

    def rotate_shard(
        self,
        hour: Hour,
        shard: str,
        *,
        include_open: bool = False,
        heed_pauses: bool = True,
        archiving: bool = True,
        stopping: Callable[[], bool] = lambda: False,
    ) -> RotationResult:
        """Seal and archive one shard's log files of an hour, and delete those whose retention is
        over. Blocking; between users, it ends if `stopping` returns true. Without `archiving` it
        only deletes."""
        return rotate_shard(
            self._rotation_rules(include_open=include_open, heed_pauses=heed_pauses),
            self._rotation_volume.archive(),
            hour,
            shard,
            stopping=stopping,
            reach=self._archive_reach,
            archiving=archiving,
        )

    def index_hours(
        self, *, at_once: bool = False, stopping: Callable[[], bool] = lambda: False
    ) -> IndexResult:
        """Write into the archive's index what this node archived. Blocking; between hours, it ends
        if `stopping` returns true. With `at_once`, nothing waits for more of its hour."""
        return index_hours(
            self._rotation_rules(include_open=False, heed_pauses=True),
            self._rotation_volume.archive(),
            at_once=at_once,
            stopping=stopping,
            reach=self._archive_reach,
        )

    def _rotation_rules(self, *, include_open: bool, heed_pauses: bool) -> RotationRules:
        volume = self._rotation_volume
        return RotationRules(
            volume.folder,
            self._clock.now(),
            grace=volume.grace,
            retention=volume.retention,
            include_open=include_open,
            heed_pauses=heed_pauses,
        )

    @property
    def archive_is_away(self) -> bool:
        """Whether this process leaves the archive alone, because it did not answer a moment ago."""
        return self._archive_reach.is_away()

    # The names of 2015 ------------------------------------------------------------------------

    get_new_rainforest_data = run_cycle
    """The master method."""
    fetch_user_info = claim
    """It claims the users, so that no other worker fetches them."""
    fetch_data = visit
    update_user_info = log_and_report
    """It logs first, and updates the users once their readings are on disk."""
    push_next_request_to_queue = rearm
    """The queue is the sorted set of due times in Redis."""
    rotate_log_to_s3 = rotate_shard
    """It rotates all log files of a shard and an hour."""

    # Pure methods, for the class and for an instance. Moments are Unix seconds or aware datetimes.
    # Those that take `user_info` raise ValueError for a bad cloud id.

    @_ClassOrInstanceMethod
    def get_wait_time(self, last_timestamp: Moment | None, now: Moment) -> float:
        """Seconds until the demand interval has passed since `last_timestamp`; 0 if it has, or if
        nothing was logged yet. On the class, the interval is the default of EAGLE_DEMAND_INTERVAL.
        """
        if last_timestamp is None:
            return 0.0
        return max(0.0, unix(last_timestamp) + self.demand_interval - unix(now))

    @_ClassOrInstanceMethod
    def get_log_filename(self, user_info: UserInfo, now: Moment) -> str:
        """The path, below `logs/`, of the user's log file for this moment's hour. It names the
        user's shard. On the class, the number of shards is the default of EAGLE_SHARDS."""
        return paths.log_file(_cloud_id(user_info), Hour.of(now), self.shards)

    @classmethod
    def is_new_log_filename(
        cls, user_info: UserInfo, last_timestamp: Moment | None, now: Moment
    ) -> bool:
        """Whether the two moments fall in different hours, in either direction; False if nothing
        was logged yet."""
        if last_timestamp is None:
            return False
        last_filename = cls.get_log_filename(user_info, last_timestamp)
        return last_filename != cls.get_log_filename(user_info, now)

    @classmethod
    def get_last_timestamp(cls, rainforest_data: Iterable[Mapping[str, Any] | Reading]) -> Any:
        """The greatest TimeStamp, as it is spelled there (a hex string stays one); None if there is
        none."""
        stamps = [
            item.time if isinstance(item, Reading) else item.get("TimeStamp")
            for item in rainforest_data
        ]
        return max((stamp for stamp in stamps if stamp is not None), key=_stamp_value, default=None)

    @classmethod
    def get_s3_keyname(cls, user_info: UserInfo, last_timestamp: Moment) -> str:
        """The archive key of part 0 of the user's hour, below the archive's prefix."""
        return paths.archive_key(_cloud_id(user_info), Hour.of(last_timestamp))


def _lines_by_file(visits: Sequence[Visit]) -> dict[tuple[str, Hour], list[bytes]]:
    by_file: dict[tuple[str, Hour], list[bytes]] = {}
    for visit in visits:
        for file, lines in visit.lines.items():
            by_file.setdefault(file, []).extend(lines)
    return by_file


def _cloud_id(user_info: UserInfo) -> str:
    return paths.cloud_id_of(
        user_info.cloud_id if isinstance(user_info, User) else user_info["cloud_id"]
    )


def _stamp_value(stamp: Any) -> float:
    if isinstance(stamp, str):
        return float(int(stamp, 16)) if stamp.lower().startswith("0x") else float(stamp)
    return unix(stamp)
