"""One cycle: users fall due, are asked, their new readings logged and fsynced, and only then does
their state move on."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import structlog

from eagle_logger.archive.archive import Archive
from eagle_logger.clock import Clock
from eagle_logger.core import paths
from eagle_logger.core.hours import Hour, Moment, unix
from eagle_logger.core.kinds import Kind
from eagle_logger.core.poison_users import is_convicted
from eagle_logger.core.readings import Reading
from eagle_logger.core.schedule import REQUEST_GAP, cadence, kinds_due, visit_period, visit_phase
from eagle_logger.core.users import User
from eagle_logger.errors import RedisUnavailable, RelayUnavailable, Unreadable
from eagle_logger.fetching.batching import Batcher, WeightedSemaphore
from eagle_logger.fetching.log_volume import LogAppender, LogVolume
from eagle_logger.fetching.message_progress import MessageOutcome, MessageProgress
from eagle_logger.fetching.visit import LOST, SampleKeeper, Visit
from eagle_logger.logs.folder import LogFolder
from eagle_logger.rainforest.source import ReadingSource
from eagle_logger.rotation.archive_reach import ArchiveReach
from eagle_logger.rotation.hours_to_rotate import hours_to_rotate
from eagle_logger.rotation.rotate_shard import rotate_shard
from eagle_logger.rotation.rotation_result import RotationResult
from eagle_logger.rotation.rotation_rules import RotationRules
from eagle_logger.users.store import Claim, Grid, Report, UserStore

_log = structlog.get_logger(__name__)

REPORTING_PAUSE = 0.2
"""Seconds between two group commits of one process."""
PATIENCE = 1.0
"""Seconds after which a message stops waiting for its stragglers; they go on under their own
deadline."""
SWIFT = 0.08
"""Seconds: a claim that came in so fast, and is followed by a request so fast, stands for that
request's beginning too. The margin of REQUEST_GAP allows for both."""
STATE_UNREADABLE = "This user's state counts as empty and is written anew. A reading may be logged twice; it is archived once."
HELD = 4
"""A process holds at most so many times the users it may ask at once: the others wait for a slow
disk or Redis."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds one process. Real seconds."""

    max_in_flight: int = 2000
    deadline: float = 10.0


@dataclass(frozen=True, slots=True)
class RotationVolume:
    """The log volume of this node, and how what lies on it is archived. `archive` makes the client
    when it is first needed; times in seconds of the system's clock."""

    folder: LogFolder
    archive: Callable[[], Archive]
    grace: float
    retention: float


class EagleDataLogger:
    """The business logic, for a batch of users at a time; called from tasks, the command line, the
    server and tests.

    Lives on one event loop. The class methods are pure and keep the signatures of 2015: `user_info`
    is a User or a mapping with `cloud_id`, moments are Unix seconds or aware datetimes.
    """

    demand_interval: ClassVar[float] = 6.0
    shards: ClassVar[int] = paths.DEFAULT_SHARDS

    def __init__(
        self,
        *,
        users: UserStore,
        relay: ReadingSource,
        logs: LogAppender,
        samples: SampleKeeper,
        volume: RotationVolume,
        clock: Clock,
        intervals: Mapping[Kind, float],
        limits: Limits,
        holder: str,
    ) -> None:
        self.users = users
        self._relay = relay
        self._samples = samples
        self._volume = volume
        self._reach = ArchiveReach(volume.archive)
        self._clock = clock
        self._intervals = intervals
        self._limits = limits
        self._holder = holder
        self._asked = WeightedSemaphore(limits.max_in_flight)
        self._held = WeightedSemaphore(HELD * limits.max_in_flight)
        self._disk = LogVolume(logs)
        self._begins: Batcher[Claim, bool] = Batcher(self._begin)
        self._reports: Batcher[Visit, bool] = Batcher(self.update_user_info, pause=REPORTING_PAUSE)
        self._visits: set[asyncio.Task[None]] = set()
        self._stopping = False

    @property
    def disk_trouble(self) -> str | None:
        """Why fetching has stopped, if it has: the log volume is full or cannot be written."""
        return self._disk.trouble

    # The names and arithmetic of 2015 ---------------------------------------------------------------------------------

    @classmethod
    def get_wait_time(cls, last_timestamp: Moment | None, now: Moment) -> float:
        """Seconds until the demand interval since `last_timestamp` has passed; 0 when overdue or
        never fetched."""
        return (
            0.0
            if last_timestamp is None
            else max(0.0, unix(last_timestamp) + cls.demand_interval - unix(now))
        )

    @classmethod
    def get_last_timestamp(cls, rainforest_data: Iterable[Mapping[str, Any] | Reading]) -> Any:
        """The greatest TimeStamp, as it was given (a hex string stays one); None if there is none."""
        stamps = [
            item.time if isinstance(item, Reading) else item.get("TimeStamp")
            for item in rainforest_data
        ]
        return max((stamp for stamp in stamps if stamp is not None), key=_stamp_value, default=None)

    @classmethod
    def is_new_log_filename(
        cls, user_info: Mapping[str, Any] | User, last_timestamp: Moment | None, now: Moment
    ) -> bool:
        """Whether the two moments fall in different hours, in either direction; False when nothing
        was logged yet."""
        if last_timestamp is None:
            return False
        return cls.get_log_filename(user_info, last_timestamp) != cls.get_log_filename(
            user_info, now
        )

    @classmethod
    def get_log_filename(cls, user_info: Mapping[str, Any] | User, now: Moment) -> str:
        """The path of the user's log file for this moment's hour, below `logs/`. Raises ValueError
        for a bad cloud id."""
        return paths.log_file(_cloud_id(user_info), Hour.of(now), cls.shards)

    @classmethod
    def get_s3_keyname(cls, user_info: Mapping[str, Any] | User, last_timestamp: Moment) -> str:
        """The archive key of part 0 of the user's hour, without the prefix. Raises ValueError for a
        bad cloud id."""
        return paths.archive_key(_cloud_id(user_info), Hour.of(last_timestamp))

    # The cycle --------------------------------------------------------------------------------------------------------

    async def get_new_rainforest_data(self, cloud_ids: Sequence[str]) -> MessageOutcome:
        """The master method: claim these users, ask the gateways, log what is new, re-arm.

        Returns once all have reported back or been answered once, or after `PATIENCE` without the
        stragglers. Raises RedisUnavailable, and DiskUnavailable before anything was asked when
        nothing could be written.
        """
        await self._disk.ensure()
        claims = await self._claim_when_they_fit(cloud_ids)
        envelope = MessageProgress(claim.cloud_id for claim in claims)
        for claim in claims:
            self._start(claim, envelope)
        return await envelope.wait(PATIENCE)

    async def fetch_user_info(self, cloud_ids: Sequence[str]) -> list[Claim]:
        """Claim those that may be fetched now, with their credentials and state: one round trip."""
        sent = time.monotonic()
        claims = await self.users.claim(cloud_ids, self._holder)
        return (
            claims
            if time.monotonic() < sent + SWIFT
            else [claim._replace(begun=False) for claim in claims]
        )

    async def fetch_data(
        self,
        claim: Claim,
        *,
        received: float | None = None,
        asks_on: Callable[[str], None] = lambda _: None,
    ) -> Visit:
        """Ask one gateway for all that is due, one request at a time and never two within a second.

        `received` is the monotonic time at which the claim came in, without delay (default: now,
        perhaps delayed); `asks_on` is told the cloud id when there was an answer and there is more
        to ask for. Never raises for what a gateway does.
        """
        visit = Visit(claim)
        if claim.state_unreadable is not None:
            _log.warning(
                "state_unreadable",
                cloud_id=claim.cloud_id,
                reason=claim.state_unreadable,
                detail=STATE_UNREADABLE,
            )
        if is_convicted(claim.abandoned):
            visit.convicted()
            _log.error(
                "user parked: its replies kill the process",
                cloud_id=claim.cloud_id,
                deaths=claim.abandoned,
            )
            return visit
        intervals = cadence(claim.user, self._intervals)
        turn = _Turn(visit, self._clock, received, self._limits.deadline)
        try:
            async with asyncio.timeout(self._limits.deadline):
                for kind in kinds_due(
                    claim.cloud_id, intervals, claim.state.asked, claim.claimed_at
                ):
                    if visit.requests:
                        asks_on(claim.cloud_id)
                    await turn.come()
                    if visit.requests and self.disk_trouble:
                        break  # what it shows could not be kept
                    if not (turn.is_begun() or await self._begins.add(claim)):
                        visit.outcome = LOST
                        return visit
                    turn.start_request()
                    await self._ask(turn, kind)
                visit.ended(visit_period(intervals))
        except RedisUnavailable:
            visit.outcome = LOST
        except Exception as exc:  # noqa: BLE001  (one user's failure, whatever it is, stays that user's)
            visit.failed(exc, visit_period(intervals))
            if visit.outcome == "internal_error":
                _log.exception("visit failed", cloud_id=claim.cloud_id)
        return visit

    async def update_user_info(self, visits: Sequence[Visit]) -> list[bool]:
        """Log what these visits brought, fsync, and only then move their users' state on.

        For each visit: whether somebody asked for another fetch meanwhile, in which case the claim
        is still held.
        """
        lines: dict[tuple[str, Hour], list[bytes]] = {}
        for visit in visits:
            for file, more in visit.lines.items():
                lines.setdefault(file, []).extend(more)
        if lines:
            written = await self._disk.append(lines, stopping=lambda: self._stopping)
            for visit in visits:
                if left_out := written.left_out.get(visit.claim.cloud_id, 0):
                    visit.note_left_out(left_out)
        self._keep_samples(visits)
        return await self.push_next_request_to_queue(
            [visit for visit in visits if visit.outcome != LOST], visits
        )

    async def push_next_request_to_queue(
        self, reported: Sequence[Visit], visits: Sequence[Visit]
    ) -> list[bool]:
        """Write state and re-arm the users' due times, with the system's counters: one round trip."""
        tally: Counter[str] = Counter(log_commits=int(any(visit.lines for visit in visits)))
        for visit in reported:
            visit.count(tally)
        try:
            answer = await self.users.report([self._report(visit) for visit in reported], tally)
        except RedisUnavailable as exc:
            # The lines are safe; the leases run out and the users fall due again with their old
            # state, which costs duplicates.
            cloud_ids = [visit.claim.cloud_id for visit in reported]
            _log.warning(
                "state not written", cloud_ids=cloud_ids, users=len(reported), reason=str(exc)
            )
            return [False] * len(visits)
        return [visit.claim.cloud_id in answer.again for visit in visits]

    @property
    def has_visits(self) -> bool:
        """Whether a visit is under way, or what it brought is not on disk yet."""
        return bool(self._visits)

    def plan_rotation(
        self, *, include_open: bool = False, heed_pauses: bool = True
    ) -> list[tuple[Hour, str]]:
        """The hours and shards of this node that have something to archive or to delete, oldest
        first. Those where nothing but failed hours is left come last; with `heed_pauses`, only when
        their pause is over. Blocking."""
        rules = self._rotation_rules(include_open=include_open, heed_pauses=heed_pauses)
        return hours_to_rotate(rules)

    @property
    def archive_is_away(self) -> bool:
        """Whether this process leaves the archive alone, because it did not answer a moment ago."""
        return self._reach.is_away()

    def rotate_log_to_s3(
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
        over. Blocking; `stopping` is called between users. Without `archiving` it only deletes."""
        return rotate_shard(
            self._rotation_rules(include_open=include_open, heed_pauses=heed_pauses),
            self._volume.archive(),
            hour,
            shard,
            stopping=stopping,
            reach=self._reach,
            archiving=archiving,
        )

    def _rotation_rules(self, *, include_open: bool, heed_pauses: bool) -> RotationRules:
        return RotationRules(
            self._volume.folder,
            self._clock.now(),
            grace=self._volume.grace,
            retention=self._volume.retention,
            include_open=include_open,
            heed_pauses=heed_pauses,
        )

    async def close(self) -> None:
        """Let visits under way finish (each has its deadline), then close what is open."""
        self._stopping = True
        while self._visits:
            await asyncio.wait(self._visits)
        await self._relay.close()
        await self.users.close()
        await self._disk.close()

    # Below: how ---------------------------------------------------------------------------------------------------------

    async def _claim_when_they_fit(self, cloud_ids: Sequence[str]) -> list[Claim]:
        claimed = 0
        await self._held.enter(len(cloud_ids))
        try:
            await self._asked.enter(len(cloud_ids))
            try:
                claims = await self.fetch_user_info(cloud_ids)
                claimed = len(claims)
            finally:
                self._asked.leave(len(cloud_ids) - claimed)
        finally:
            self._held.leave(len(cloud_ids) - claimed)
        return claims

    def _start(self, claim: Claim, envelope: MessageProgress) -> None:
        task = asyncio.create_task(self._serve(claim, time.monotonic(), envelope))
        self._visits.add(task)
        task.add_done_callback(self._visits.discard)

    async def _serve(self, claim: Claim, received: float, envelope: MessageProgress) -> None:
        """Visit one user until nobody wants it fetched once more."""
        try:
            while True:
                try:
                    visit = await self.fetch_data(
                        claim, received=received, asks_on=envelope.asks_on
                    )
                finally:
                    self._asked.leave()
                again = await self._reports.add(visit)
                if not again or self._stopping:
                    envelope.reported(claim.cloud_id, visit.outcome, len(visit.readings))
                    return
                await self._asked.enter(1)
                now = time.monotonic()
                claim, received = (
                    _claim_for_another_round(visit, self._clock.stretched(now - received)),
                    now,
                )
        finally:
            self._held.leave()

    async def _begin(self, claims: Sequence[Claim]) -> list[bool]:
        held = await self.users.begin(claims)
        return [claim.cloud_id in held for claim in claims]

    async def _ask(self, turn: _Turn, kind: Kind) -> None:
        visit, claim = turn.visit, turn.visit.claim
        visit.begin(kind)
        if claim.record_unreadable is not None:
            raise RelayUnavailable(
                f"{claim.record_unreadable}; add the user again with `eagle-logger users add`",
                reason="record_unreadable",
                retry_after=60.0,
            )
        if claim.credentials is None:
            raise RelayUnavailable(
                "no key in EAGLE_SECRET_KEYS decrypts this user's password: put the old key back, or add the user again",
                reason="no_key",
                retry_after=60.0,
            )
        try:
            decoded = await self._relay.ask(
                claim.credentials, kind, claim.user.mac_id, turn.before_writing
            )
        except Unreadable as exc:
            visit.note_unreadable(exc)
            return
        visit.note_reply(kind, decoded, self._clock.now(), asked=turn.asked)

    def _report(self, visit: Visit) -> Report:
        claim = visit.claim
        period = visit_period(cadence(claim.user, self._intervals))
        return Report(
            claim.cloud_id,
            claim.token,
            visit.state,
            Grid(period, visit_phase(claim.cloud_id, period)),
            visit.pause,
            visit.blames_relay,
            None if visit.last_request is None else time.monotonic() - visit.last_request,
            visit.answered,
        )

    def _keep_samples(self, visits: Sequence[Visit]) -> None:
        now = self._clock.now()
        for visit in visits:
            for problem in visit.problems:
                if problem.sample:
                    self._disk.submit(
                        self._samples.keep_sample,
                        visit.claim.cloud_id,
                        now,
                        f"{problem.what}: {problem.sample}",
                    )


class _Turn:
    """When this gateway may be asked next. Its moments are `time.monotonic()`: the event loop's own
    time may lag behind."""

    def __init__(self, visit: Visit, clock: Clock, received: float | None, deadline: float) -> None:
        now, claim = time.monotonic(), visit.claim
        self.visit, self._clock = visit, clock
        self._received = now if received is None else received
        self._latest = now + deadline
        begun = claim.begun and received is not None
        self._begun_until = self._received + SWIFT if begun else float("-inf")
        self._last = float("-inf")
        if claim.last_request is not None:
            self._last = self._received - clock.real(claim.claimed_at - claim.last_request)

    @property
    def asked(self) -> float:
        """When the last request was written, in the store's time."""
        return self.visit.claim.claimed_at + self._clock.stretched(self._last - self._received)

    def is_begun(self) -> bool:
        """Whether the claim stands for the first request too: it has just been made, and noted the
        request."""
        return not self.visit.requests and time.monotonic() < self._begun_until

    async def come(self) -> None:
        wait = self._last + REQUEST_GAP - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)

    def start_request(self) -> None:
        """Note that a request starts now. Its connection may take a while to open."""
        visit = self.visit
        self._last = visit.last_request = time.monotonic()
        visit.requests += 1
        if visit.late is None:
            before_claim = self._clock.real(visit.claim.claimed_at - visit.claim.due)
            visit.late = max(0.0, before_claim + self._last - self._received)

    def before_writing(self) -> None:
        """Note that the connection is open and the request is about to be written. `REQUEST_GAP`
        counts from this moment.

        Raises TimeoutError after the deadline: a process that was stopped meanwhile may have lost
        its claim.
        """
        now = time.monotonic()
        if now > self._latest:
            raise TimeoutError("the connection opened only after the deadline")
        self._last = self.visit.last_request = now


def _claim_for_another_round(visit: Visit, passed: float) -> Claim:
    """The claim for another round of the same visit, `passed` seconds of the store's time after the
    claim was made. To be safe, the last request counts as made now."""
    now = visit.claim.claimed_at + passed
    return visit.claim._replace(
        state=visit.state,
        state_unreadable=None,
        due=now,
        claimed_at=now,
        last_request=now,
        begun=False,
    )


def _cloud_id(user_info: Mapping[str, Any] | User) -> str:
    return paths.cloud_id_of(
        user_info.cloud_id if isinstance(user_info, User) else user_info["cloud_id"]
    )


def _stamp_value(stamp: Any) -> float:
    if isinstance(stamp, str):
        return float(int(stamp, 16)) if stamp.lower().startswith("0x") else float(stamp)
    return unix(stamp)
