"""An unreadable entry in Redis counts as empty and affects no other user."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest
import redis

from eagle_logger.core.circuit_breaker import Breaker
from eagle_logger.core.kinds import Kind
from eagle_logger.core.schedule import Grid
from eagle_logger.core.users import User, UserState
from eagle_logger.errors import ConfigurationError, NoSecretKey
from eagle_logger.users.cipher import Cipher, new_key
from eagle_logger.users.redis.store import redis_store
from eagle_logger.users.store import Claim, Report, UserStore
from tests.support.users import lived_in_state, new_user

BEFORE, HOME, BEHIND = "00ce68", "00ce69", "00ce6a"
ALL_IDS = [BEFORE, HOME, BEHIND]
STATES = {
    "of a newer format": b"\x02whatever",
    "damaged": b"\x01\xff\xff\xff",
    "cut off": b"\x01",
    "nothing we know": b"{}",
}


@pytest.fixture
def server(redis_url: str) -> redis.Redis:
    return redis.Redis.from_url(redis_url)


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[UserStore]:
    made = redis_store(redis_url, cipher=Cipher([new_key()]), lease=0.3)
    await made.users.put([new_user(cloud_id) for cloud_id in ALL_IDS])
    yield made
    await made.close()


async def claims(store: UserStore) -> dict[str, Claim]:
    await store.schedule.request(ALL_IDS)
    return {claim.cloud_id: claim for claim in await store.schedule.claim(ALL_IDS, "worker")}


async def report(
    store: UserStore, claimed: Sequence[Claim], tally: dict[str, int] | None = None
) -> None:
    state = lived_in_state()
    made = await store.schedule.report(
        [Report(one.cloud_id, one.token, state, Grid(6.0, 0.0)) for one in claimed], tally or {}
    )
    assert not made.lost


@pytest.mark.parametrize("written", STATES.values(), ids=STATES.keys())
async def test_an_unreadable_state_counts_as_empty_and_is_overwritten(
    store: UserStore, server: redis.Redis, written: bytes
) -> None:
    server.hset("eagle:states", HOME, written)
    server.hset("eagle:troubles", HOME, '[2,"timed_out",null]')
    claimed = await claims(store)
    assert sorted(claimed) == ALL_IDS
    assert claimed[HOME].state == UserState(failures=2, last_error="timed_out")
    assert "cannot be read" in (claimed[HOME].state_unreadable or "")
    assert claimed[HOME].credentials
    assert claimed[BEFORE].state_unreadable is None
    [outline] = [
        one async for batch in store.users.outlines() for one in batch if one.cloud_id == HOME
    ]
    assert outline.last_error == "timed_out"
    await report(store, list(claimed.values()))
    assert (await claims(store))[HOME].state == lived_in_state()


async def test_an_unreadable_trouble_leaves_the_state_readable(
    store: UserStore, server: redis.Redis
) -> None:
    await report(store, list((await claims(store)).values()))
    server.hset("eagle:troubles", HOME, b"\xff{")
    [outline] = [
        one async for batch in store.users.outlines() for one in batch if one.cloud_id == HOME
    ]
    assert "cannot be read" in (outline.unreadable or "")
    stored = await store.users.get(HOME)
    assert stored is not None
    assert stored.unreadable
    claimed = (await claims(store))[HOME]
    assert claimed.state == lived_in_state()
    assert claimed.state_unreadable


@pytest.mark.parametrize(
    "record",
    [b"\xff", b"{}", b'{"sealed":7}', None],
    ids=["bytes", "no password", "a number", "gone"],
)
async def test_an_unreadable_record_affects_its_own_user_only(
    store: UserStore, server: redis.Redis, record: bytes | None
) -> None:
    server.hdel("eagle:users:00", HOME)
    if record is not None:
        server.hset("eagle:users:00", HOME, record)
    claimed = await claims(store)
    assert sorted(claimed) == ALL_IDS
    assert (claimed[HOME].user, claimed[HOME].credentials) == (User(HOME), None)
    assert "cannot be read" in (claimed[HOME].record_unreadable or "")
    assert claimed[BEHIND].record_unreadable is None
    listed = [stored async for batch in store.users.all() for stored in batch]
    assert [stored.user.cloud_id for stored in listed if stored.sealed] == [BEFORE, BEHIND]
    await report(store, list(claimed.values()))
    await store.users.put([new_user(HOME)])
    assert (await claims(store))[HOME].credentials, "adding the user again mends it"


async def test_a_user_with_a_record_of_a_newer_version_is_fetched(
    store: UserStore, server: redis.Redis
) -> None:
    record = server.hget("eagle:users:00", HOME)
    assert isinstance(record, bytes)
    server.hset(
        "eagle:users:00", HOME, record[:-1] + b',"intervals":{"demand":8,"gas":60},"source":"push"}'
    )
    claimed = (await claims(store))[HOME]
    assert claimed.credentials
    assert claimed.user.intervals[Kind.DEMAND] == 8


async def test_an_unreadable_record_does_not_stop_key_rotation_for_other_users(
    redis_url: str, server: redis.Redis, store: UserStore
) -> None:
    old, new = new_key(), new_key()
    before = redis_store(redis_url, cipher=Cipher([old]))
    await before.users.put([new_user(cloud_id) for cloud_id in ALL_IDS])
    await before.close()
    server.hset("eagle:users:00", HOME, b"\xff")
    after = redis_store(redis_url, cipher=Cipher([new, old]))
    with pytest.raises(NoSecretKey, match=HOME):
        await after.users.reseal()
    assert server.hget("eagle:users:00", HOME) == b"\xff"
    await after.close()
    only_new = redis_store(redis_url, cipher=Cipher([new]))
    assert [bool(one.credentials) for one in (await claims(only_new)).values()] == [
        True,
        False,
        True,
    ]
    await only_new.close()


async def test_a_user_with_an_unreadable_turn_is_leased_again_and_stops_no_other(
    store: UserStore, server: redis.Redis
) -> None:
    await store.schedule.request(ALL_IDS)
    server.hset("eagle:turns", HOME, b"\x02not a turn")
    claimed = await store.schedule.claim(ALL_IDS, "worker")
    assert [claim.cloud_id for claim in claimed] == [BEFORE, BEHIND]
    await report(store, claimed)
    leased: list[str] = []
    while HOME not in leased:
        leased += await store.schedule.lease(10)
    assert HOME in [claim.cloud_id for claim in await store.schedule.claim(leased, "worker")]


async def test_unreadable_counters_breaker_and_notes_start_again(
    store: UserStore, server: redis.Redis
) -> None:
    server.hset("eagle:tally", mapping={"fetches": "many", "requests": "3"})
    assert await store.fleet.tally() == {"requests": 3}
    await report(store, list((await claims(store)).values()), {"fetches": 3, "requests": 3})
    assert await store.fleet.tally() == {"fetches": 3, "requests": 6}
    for breaker in (
        {"phase": "ajar"},
        {"phase": "open", "since": "1", "samples": "[[1]]"},
        {"phase": "open", "samples": "["},
    ):
        server.delete("eagle:breaker")
        for name, text in breaker.items():
            server.hset("eagle:breaker", name, text)
        assert await store.fleet.breaker() == Breaker()
    await store.fleet.note_progress("fetch-1", {"users": 3})
    server.hset(
        "eagle:progress",
        mapping={"odd": "{", "odder": "[]", "oddest": '{"at":"now"}', "binary": b"\xff"},
    )
    assert list(await store.fleet.progress()) == ["fetch-1"]
    server.set("eagle:clock", "noon")
    await store.schedule.lease(10)


async def test_a_number_of_shards_that_is_no_number_is_a_configuration_error(
    store: UserStore, server: redis.Redis
) -> None:
    server.set("eagle:shards", "many")
    with pytest.raises(
        ConfigurationError, match="eagle:shards in Redis should hold the number of shards"
    ):
        await store.fleet.agree_on_shards(16)
