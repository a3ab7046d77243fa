"""Helpers for the tests of due times, leases and claims."""

from __future__ import annotations

from eagle_logger.core.schedule import Grid
from eagle_logger.core.users import UserState
from eagle_logger.users.store import Claim, Report, UserStore
from tests.support.users import new_user

GRID = Grid(6.0, 1.5)


async def add(store: UserStore, *cloud_ids: str) -> None:
    for cloud_id in cloud_ids:
        await store.users.put([new_user(cloud_id)])


async def claimed(store: UserStore, *cloud_ids: str, holder: str = "worker") -> list[Claim]:
    """Claim these users, idle or due."""
    await store.schedule.request(cloud_ids)
    claims = await store.schedule.claim(cloud_ids, holder)
    assert [claim.cloud_id for claim in claims] == list(cloud_ids)
    return claims


def reported(
    claim: Claim, state: UserState | None = None, *, grid: Grid = GRID, pause: float = 0.0
) -> Report:
    return Report(claim.cloud_id, claim.token, state or claim.state, grid, pause)


async def due_of(store: UserStore, cloud_id: str) -> float | None:
    stored = await store.users.get(cloud_id)
    assert stored
    return stored.due


async def lease_of(store: UserStore, cloud_id: str) -> float | None:
    stored = await store.users.get(cloud_id)
    assert stored
    return stored.lease_ends
