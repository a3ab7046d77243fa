"""One user fetched now, for somebody at a keyboard: in its turn, like everybody who asks."""

from __future__ import annotations

import asyncio

from eagle_logger.errors import EagleError, Transient, UnknownUser
from eagle_logger.fetching.visit import FETCHED, LOST, Visit
from eagle_logger.logger import EagleDataLogger
from eagle_logger.users.store import Claim, UserStore

POLL = 0.25
"""Seconds between two looks at a user whom somebody else is fetching."""


async def fetch_now(
    logger: EagleDataLogger, cloud_id: str, *, dry_run: bool, patience: float
) -> Visit:
    """Visit one user and log what is new; with `dry_run` neither its log files nor its state
    change.

    A visit that fails does not count as the user's failure: it may be this shell's key or relay
    that is wrong, and a user must not be parked, or be asked less often, for that. What is wrong
    with the user itself its next turn finds out.

    Waits up to `patience` real seconds while somebody else is fetching it. Raises UnknownUser,
    EagleError if it is parked, Transient if it stayed busy, RedisUnavailable, DiskUnavailable.
    """
    try:
        async with asyncio.timeout(patience):
            claim = await _claim(logger, cloud_id)
    except TimeoutError:
        raise Transient(
            f"{cloud_id} has been busy for {patience:g} s; try again, or look at `eagle-logger status`"
        ) from None
    visit = await logger.fetch_data(claim)
    if visit.outcome != LOST:
        await logger.update_user_info(
            [_without_result(visit) if dry_run else _without_blame(visit)]
        )
    return visit


async def _claim(logger: EagleDataLogger, cloud_id: str) -> Claim:
    while True:
        await _until_idle(logger.users, cloud_id)
        requested = await logger.users.request([cloud_id])
        if requested.unknown:
            raise UnknownUser(
                f"there is no user {cloud_id}; `eagle-logger users list` shows who there is"
            )
        if requested.parked:
            raise EagleError(
                f"{cloud_id} is parked; `eagle-logger status` says why, `eagle-logger users wake {cloud_id}` wakes it"
            )
        claims = await logger.fetch_user_info([cloud_id])
        if claims:
            return claims[0]


async def _until_idle(users: UserStore, cloud_id: str) -> None:
    while (stored := await users.get(cloud_id)) and stored.lease_ends is not None:  # noqa: ASYNC110  (another process's)
        await asyncio.sleep(POLL)


def _without_blame(visit: Visit) -> Visit:
    if visit.outcome == FETCHED or visit.readings:
        return visit
    nothing = _without_result(visit)
    nothing.problems = visit.problems  # samples of what could not be read are kept, whoever asked
    return nothing


def _without_result(visit: Visit) -> Visit:
    nothing = Visit(visit.claim)
    nothing.requests, nothing.late = visit.requests, visit.late
    return nothing
