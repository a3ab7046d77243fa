from __future__ import annotations

import json

from eagle_logger.users.importing import USERS_PER_BATCH, import_users
from eagle_logger.users.memory.store import memory_store
from eagle_logger.users.store import StoredUser, UserStore
from eagle_logger.users.user_json import as_line
from tests.support.hand_clock import HandClock


def line(cloud_id: str, password: str = "a-password") -> bytes:
    return (
        json.dumps(
            {"cloud_id": cloud_id, "user_email": "a@example.org", "user_pw": password}
        ).encode()
        + b"\n"
    )


async def all_users(store: UserStore) -> list[StoredUser]:
    return [stored async for page in store.users.all() for stored in page]


async def test_users_are_imported_in_batches() -> None:
    store, bytes_read = memory_store(), list[int]()
    lines = [line(f"{number:06x}") for number in range(2 * USERS_PER_BATCH + 1)]
    result = await import_users(store.users, lines, on_line=bytes_read.append)
    assert (result.users, result.refused, result.replaced) == (2 * USERS_PER_BATCH + 1, [], [])
    assert sum(bytes_read) == sum(map(len, lines))
    assert len(await all_users(store)) == 2 * USERS_PER_BATCH + 1


async def test_the_later_of_two_lines_of_a_user_wins_and_is_reported() -> None:
    clock = HandClock()
    store = memory_store(clock)
    result = await import_users(
        store.users,
        [line("000001", "earlier"), line("000002"), line("000001", "later")],
        on_line=lambda _: None,
    )
    assert result.replaced == [(3, "000001 again: it replaces line 1")]
    clock.advance(1)  # users of one batch fall due one after another
    claims = {
        claim.cloud_id: claim
        for claim in await store.schedule.claim(await store.schedule.lease(9), "worker")
    }
    credentials = claims["000001"].credentials
    assert credentials
    assert credentials.user_pw == "later"


async def test_a_later_line_that_is_refused_replaces_nothing() -> None:
    clock = HandClock()
    store = memory_store(clock)
    await import_users(store.users, [line("000001"), line("000002")], on_line=lambda _: None)
    first, second = await all_users(store)
    forged = as_line(StoredUser(first.user, second.sealed, first.state, None, None)).encode()
    result = await import_users(
        store.users, [line("000001", "good"), forged], on_line=lambda _: None
    )
    assert (result.users, result.refused) == (
        1,
        [(2, "the sealed password belongs to another user")],
    )
    clock.advance(1)
    [claim] = [
        claim
        for claim in await store.schedule.claim(await store.schedule.lease(9), "worker")
        if claim.cloud_id == "000001"
    ]
    assert claim.credentials
    assert claim.credentials.user_pw == "good"
