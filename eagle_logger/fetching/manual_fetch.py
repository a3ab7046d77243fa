"""One user fetched now, for `eagle-logger fetch`, by the same steps as in a worker."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from eagle_logger.errors import EagleError, Transient, UnknownUser
from eagle_logger.fetching.visit import FETCHED, LOST, Visit
from eagle_logger.users.store import Claim, Users, UserStore

LEASE_POLLED_EVERY_S = 0.25


class FetchSteps(Protocol):
    """The steps of `EagleDataLogger` that a manual fetch takes."""

    async def claim(self, cloud_ids: Sequence[str]) -> list[Claim]: ...
    async def visit(self, claim: Claim) -> Visit: ...
    async def log_and_report(self, visits: Sequence[Visit]) -> list[bool]: ...


async def fetch_now(
    logger: FetchSteps,
    store: UserStore,
    cloud_id: str,
    *,
    dry_run: bool,
    patience: float,
    poll_every: float = LEASE_POLLED_EVERY_S,
) -> Visit:
    """Visit one user and log what is new. With `dry_run`, neither its log files nor its state
    change.

    A visit that fails does not count as the user's failure. The key or the relay of this shell may
    be at fault, and a user must not be parked or asked less often for that. If the fault is the
    user's, its next visit by a worker finds it.

    Waits up to `patience` real seconds while a worker fetches the user, and looks every
    `poll_every` seconds. Raises UnknownUser, EagleError if the user is parked, Transient if it
    stayed busy, RedisUnavailable, DiskUnavailable.
    """
    try:
        async with asyncio.timeout(patience):
            claim = await _claim(logger, store, cloud_id, poll_every)
    except TimeoutError:
        raise Transient(
            f"{cloud_id} has been busy for {patience:g} s; try again, or look at "
            "`eagle-logger status`"
        ) from None
    visit = await logger.visit(claim)
    if visit.outcome != LOST:
        reported = _without_result(visit) if dry_run else _without_blame(visit)
        await logger.log_and_report([reported])
    return visit


async def _claim(logger: FetchSteps, store: UserStore, cloud_id: str, poll_every: float) -> Claim:
    while True:
        await _wait_until_idle(store.users, cloud_id, poll_every)
        requested = await store.schedule.request([cloud_id])
        if requested.unknown:
            raise UnknownUser(
                f"there is no user {cloud_id}; `eagle-logger users list` shows all users"
            )
        if requested.parked:
            raise EagleError(
                f"{cloud_id} is parked; `eagle-logger status` says why, `eagle-logger users wake "
                f"{cloud_id}` wakes it"
            )
        claims = await logger.claim([cloud_id])
        if claims:
            return claims[0]


async def _wait_until_idle(users: Users, cloud_id: str, poll_every: float) -> None:
    while (stored := await users.get(cloud_id)) and stored.lease_ends is not None:  # noqa: ASYNC110  (another process holds the lease)
        await asyncio.sleep(poll_every)


def _without_blame(visit: Visit) -> Visit:
    """The visit to report: a failed one without its failure, unless it brought readings."""
    if visit.outcome == FETCHED or visit.readings:
        return visit
    blameless = _without_result(visit)
    blameless.problems = visit.problems  # so that samples of unreadable replies are kept
    return blameless


def _without_result(visit: Visit) -> Visit:
    """A visit that leaves the user's log files and state as they were."""
    empty = Visit(visit.claim, visit.turns)
    empty.requests, empty.lateness = visit.requests, visit.lateness
    return empty
