"""Asking one user's gateway for everything that is due. What comes back is noted in a `Visit`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import structlog

from eagle_logger.clock import Clock
from eagle_logger.core.in_step import turns_of
from eagle_logger.core.kinds import Kind
from eagle_logger.core.poison_users import is_poison
from eagle_logger.core.schedule import intervals_of, kinds_due
from eagle_logger.core.users import Credentials
from eagle_logger.errors import RedisUnavailable, RelayUnavailable, Unreadable
from eagle_logger.fetching.batching import Batcher
from eagle_logger.fetching.log_volume import LogVolume
from eagle_logger.fetching.process_limits import ProcessLimits
from eagle_logger.fetching.request_pacing import RequestPacing
from eagle_logger.fetching.visit import INTERNAL_ERROR, LOST, Visit
from eagle_logger.rainforest.source import ReadingSource
from eagle_logger.users.store import Claim, Schedule

_log = structlog.get_logger("eagle_logger.fetching")

STATE_UNREADABLE_DETAIL = (
    "This user's state counts as empty and is written anew. A reading may be logged twice; it is "
    "archived once."
)
RETRY_DAMAGED_USER_AFTER_S = 60.0


class Visitor:
    """Visits users on one event loop."""

    def __init__(
        self,
        *,
        schedule: Schedule,
        source: ReadingSource,
        log_volume: LogVolume,
        clock: Clock,
        intervals: Mapping[Kind, float],
        limits: ProcessLimits,
        in_step: bool = True,
    ) -> None:
        self._in_step = in_step
        self._schedule = schedule
        self._source = source
        self._clock = clock
        self._intervals = intervals
        self._limits = limits
        self._log_volume = log_volume
        self._request_starts: Batcher[Claim, bool] = Batcher(self._begin_requests)

    async def visit(
        self, claim: Claim, received: float | None, on_further_request: Callable[[str], None]
    ) -> Visit:
        """Ask one gateway for everything that is due. Never raises for what a gateway does."""
        intervals = intervals_of(claim.user, self._intervals)
        turns = turns_of(
            claim.user,
            self._intervals,
            fleet_in_step=self._in_step,
            tick=self._clock.stretched(1.0),
        )
        visit = Visit(claim, turns)
        if claim.state_unreadable is not None:
            _log_unreadable_state(claim)
        if is_poison(claim.abandoned):
            visit.park_as_poison()
            _log_parked_as_poison(claim)
            return visit
        pacing = RequestPacing(claim, self._clock, self._limits, received)
        await self._ask_for_what_is_due(intervals, visit, pacing, on_further_request)
        visit.note_requests(pacing)
        return visit

    async def _ask_for_what_is_due(
        self,
        intervals: Mapping[Kind, float],
        visit: Visit,
        pacing: RequestPacing,
        on_further_request: Callable[[str], None],
    ) -> None:
        """Make the visit's requests within its deadline, and note how it ended."""
        claim = visit.claim
        try:
            kinds = kinds_due(claim.cloud_id, intervals, claim.state.asked, claim.claimed_at)
            async with asyncio.timeout(self._limits.deadline):
                if await self._ask_for(kinds, visit, pacing, on_further_request):
                    visit.finish()
                else:
                    visit.outcome = LOST
        except RedisUnavailable:
            visit.outcome = LOST
        except Exception as exc:  # noqa: BLE001  (one user's failure, whatever it is, stays that user's)
            visit.fail(exc)
            if visit.outcome == INTERNAL_ERROR:
                _log.exception("visit_failed", cloud_id=claim.cloud_id)

    async def _ask_for(
        self,
        kinds: Sequence[Kind],
        visit: Visit,
        pacing: RequestPacing,
        on_further_request: Callable[[str], None],
    ) -> bool:
        """Make one request after the other. Returns whether this worker still holds the claim."""
        for kind in kinds:
            if pacing.requests:
                on_further_request(visit.claim.cloud_id)
            await pacing.wait_for_gap()
            if pacing.requests and self._log_volume.trouble:
                # A further reply could not be written; the earlier ones wait in memory.
                return True
            if not pacing.claim_counts_as_request():
                still_held = await self._request_starts.add(visit.claim)
                if not still_held:
                    return False
            pacing.note_start()
            await self._request(kind, visit, pacing)
        return True

    async def _request(self, kind: Kind, visit: Visit, pacing: RequestPacing) -> None:
        visit.note_asked(kind)
        credentials = _usable_credentials(visit.claim)
        mac_id = visit.claim.user.mac_id
        try:
            decoded = await self._source.ask(credentials, kind, mac_id, pacing.before_writing)
        except Unreadable as exc:
            visit.note_unreadable(exc)
        else:
            asked, took = pacing.asked, pacing.now - pacing.asked
            visit.note_reply(kind, decoded, self._clock.now(), asked=asked, took=took)
        finally:
            visit.note_requested(kind, pacing.asked)

    async def _begin_requests(self, claims: Sequence[Claim]) -> list[bool]:
        """For each claim, whether it is still held; the store then notes that its request starts
        now."""
        held = await self._schedule.begin(claims)
        return [claim.cloud_id in held for claim in claims]


def _log_unreadable_state(claim: Claim) -> None:
    _log.warning(
        "state_unreadable",
        cloud_id=claim.cloud_id,
        reason=claim.state_unreadable,
        detail=STATE_UNREADABLE_DETAIL,
    )


def _log_parked_as_poison(claim: Claim) -> None:
    _log.error(
        "user_parked",
        cloud_id=claim.cloud_id,
        deaths=claim.abandoned,
        detail="its replies kill the process that handles them",
    )


def _usable_credentials(claim: Claim) -> Credentials:
    """Raises RelayUnavailable if the user's record or its password cannot be read."""
    if claim.record_unreadable is not None:
        raise RelayUnavailable(
            f"{claim.record_unreadable}; add the user again with `eagle-logger users add`",
            reason="record_unreadable",
            retry_after=RETRY_DAMAGED_USER_AFTER_S,
        )
    if claim.credentials is None:
        raise RelayUnavailable(
            "no key in EAGLE_SECRET_KEYS decrypts this user's password: put the old key back, or "
            "add the user again",
            reason="no_key",
            retry_after=RETRY_DAMAGED_USER_AFTER_S,
        )
    return claim.credentials
