"""What only a real Redis can show: its own time and memory, and that it goes away and returns."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis

from eagle_logger.clock import Clock
from eagle_logger.core.redis_address import RedisAddress
from eagle_logger.core.schedule import Grid
from eagle_logger.core.users import UserState
from eagle_logger.errors import NoSecretKey, RedisUnavailable
from eagle_logger.users.cipher import Cipher, new_key
from eagle_logger.users.redis import listing
from eagle_logger.users.redis.redis_connection import Argument, RedisConnection
from eagle_logger.users.redis.redis_time import RedisTime
from eagle_logger.users.redis.schedule import RedisSchedule
from eagle_logger.users.redis.store import redis_store
from eagle_logger.users.store import Claim, Report, UserStore
from tests.support.redis_server import RedisServer
from tests.support.set_membership import breaches, strays
from tests.support.users import lived_in_state, new_user

GRID = Grid(6.0, 0.0)


@pytest.fixture
def cipher() -> Cipher:
    return Cipher([new_key()])


@pytest.fixture
async def store(redis_url: str, cipher: Cipher) -> AsyncIterator[UserStore]:
    made = redis_store(redis_url, cipher=cipher)
    yield made
    assert await breaches(made.users) == []
    assert strays(redis_url) == []
    await made.close()


def reports(claims: Sequence[Claim], state: UserState | None = None) -> list[Report]:
    return [Report(claim.cloud_id, claim.token, state or claim.state, GRID) for claim in claims]


async def all_claimed(store: UserStore, ids: Sequence[str]) -> list[Claim]:
    await store.schedule.request(ids)
    return await store.schedule.claim(ids, "worker")


async def test_the_stores_time_is_that_of_redis(store: UserStore, redis_url: str) -> None:
    await store.users.put([new_user("00ce69")])
    [claim] = await all_claimed(store, ["00ce69"])
    with redis.Redis.from_url(redis_url) as client:
        seconds, _ = client.time()
    assert claim.due <= claim.claimed_at <= await store.fleet.now()
    assert seconds - 10 < claim.claimed_at < seconds + 1
    stored = await store.users.get("00ce69")
    assert stored
    assert stored.lease_ends == pytest.approx(claim.claimed_at + 20.0)


async def test_an_accelerated_clock_stretches_leases(redis_url: str, cipher: Cipher) -> None:
    clock = Clock(origin=1_700_000_000.0, speed=360.0)
    store = redis_store(redis_url, cipher=cipher, clock=clock)
    await store.users.put([new_user("00ce69")])
    [claim] = await all_claimed(store, ["00ce69"])
    stored = await store.users.get("00ce69")
    assert stored
    assert stored.lease_ends == claim.claimed_at + 20.0 * 360
    assert abs(claim.claimed_at - clock.now()) < 360 * 30
    await store.close()


async def test_scripts_are_loaded_again_when_redis_has_lost_them(
    store: UserStore, redis_url: str
) -> None:
    await store.users.put([new_user("00ce69")])
    with redis.Redis.from_url(redis_url) as client:
        for name in ("lease", "claim", "begin", "report"):
            client.script_flush()
            if name == "lease":
                assert await store.schedule.lease(1) == ["00ce69"]
            elif name == "claim":
                claims = await store.schedule.claim(["00ce69"], "worker")
            elif name == "begin":
                assert await store.schedule.begin(claims) == {"00ce69"}
            else:
                assert (await store.schedule.report(reports(claims), {})).lost == frozenset()


async def test_each_user_is_leased_and_claimed_by_one_of_many_processes(
    redis_url: str, cipher: Cipher
) -> None:
    ids = [f"{number:06x}" for number in range(300)]
    stores = [redis_store(redis_url, cipher=cipher) for _ in range(6)]
    for cloud_id in ids:
        await stores[0].users.put([new_user(cloud_id)])
    leased = await asyncio.gather(*(store.schedule.lease(60) for store in stores))
    assert Counter(cloud_id for some in leased for cloud_id in some) == Counter(ids)
    claims = await asyncio.gather(
        *(store.schedule.claim(ids, f"worker-{number}") for number, store in enumerate(stores))
    )
    assert Counter(claim.cloud_id for some in claims for claim in some) == Counter(ids)
    for store in stores:
        await store.close()


async def test_no_token_is_used_again_after_flushdb(store: UserStore, redis_url: str) -> None:
    await store.users.put([new_user("00ce69")])
    [before] = await all_claimed(store, ["00ce69"])
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    await store.users.put([new_user("00ce69")])
    [after] = await all_claimed(store, ["00ce69"])
    assert after.token > before.token
    assert await store.schedule.begin([before]) == frozenset()


async def test_no_token_is_used_again_when_redis_loses_its_last_second(
    store: UserStore, redis_url: str
) -> None:
    """As after a failover, or a crash between two fsyncs of the append-only file."""
    ids = [f"{number:06x}" for number in range(40)]
    await store.users.put([new_user(cloud_id) for cloud_id in ids])
    [first] = await all_claimed(store, ids[:1])
    with redis.Redis.from_url(redis_url) as client:
        saved = client.get("eagle:tokens")
        given = await all_claimed(store, ids)
        client.set("eagle:tokens", saved)
        await store.schedule.free("worker")
        again = await all_claimed(store, ids)
    tokens = [claim.token for claim in [first, *given, *again]]
    assert len(set(tokens)) == len(tokens) == 1 + 39 + 40
    assert max(tokens) < 2**53
    assert await store.schedule.begin(given) == frozenset()


async def test_a_stray_member_of_a_set_does_not_stop_other_users(
    store: UserStore, redis_url: str
) -> None:
    await store.users.put([new_user("00ce69")])
    with redis.Redis.from_url(redis_url) as client:
        client.zadd("eagle:due", {"ffffff": 0})
        client.zadd("eagle:leased", {"eeeeee": 0})
        assert strays(redis_url) == [
            "ffffff: does not belong into due",
            "eeeeee: does not belong into leased",
        ]
        assert await store.schedule.lease(10) == ["00ce69"]


async def test_the_helper_of_these_tests_finds_a_user_in_both_sets_or_in_neither(
    store: UserStore, redis_url: str
) -> None:
    await store.users.put([new_user("000001")])
    await store.users.put([new_user("000002")])
    with redis.Redis.from_url(redis_url) as client:
        client.zadd("eagle:leased", {"000001": 1})
        client.zrem("eagle:due", "000002")
        assert await breaches(store.users) == [
            "000001: active, and in due and leased",
            "000002: active, and in neither set",
        ]
        client.flushdb()


# Secrets -----------------------------------------------------------------------------------------


async def test_nothing_in_redis_shows_credentials(store: UserStore, redis_url: str) -> None:
    await store.users.put([new_user("00ce69", "a-password-to-look-for")])
    claims = await all_claimed(store, ["00ce69"])
    await store.schedule.report(reports(claims, lived_in_state()), {"fetches": 1})
    with redis.Redis.from_url(redis_url) as client:
        everything = b"".join(client.dump(key) or b"" for key in client.scan_iter())
    assert b"00ce69" in everything
    assert b"a-password" not in everything
    assert b"example.org" not in everything
    assert "a-password" not in repr(claims)


async def test_without_a_key_claims_have_no_credentials(store: UserStore, redis_url: str) -> None:
    await store.users.put([new_user("00ce69")])
    stored = await store.users.get("00ce69")
    assert stored
    keyless = redis_store(redis_url, cipher=None)
    for refused in (
        keyless.users.put([new_user("00ce69")]),
        keyless.users.restore([stored]),
        keyless.users.reseal(),
    ):
        with pytest.raises(NoSecretKey):
            await refused
    [claim] = await all_claimed(keyless, ["00ce69"])
    assert claim.credentials is None
    await keyless.close()


async def test_a_claim_that_no_key_opens_has_no_credentials(
    store: UserStore, redis_url: str
) -> None:
    await store.users.put([new_user("00ce69")])
    other = redis_store(redis_url, cipher=Cipher([new_key()]))
    [claim] = await all_claimed(other, ["00ce69"])
    assert claim.credentials is None
    await other.close()


async def test_resealing_never_overwrites_a_user_updated_meanwhile(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = new_key(), new_key()
    before = redis_store(redis_url, cipher=Cipher([old]))
    await before.users.put([new_user(f"{number:06x}", "as-it-was") for number in range(700)])
    after = redis_store(redis_url, cipher=Cipher([new, old]))
    run, updates = RedisConnection.run, ["000001", "000002"]

    async def update_first(self: RedisConnection, name: str, args: Sequence[Argument] = ()) -> Any:
        while name == "swap" and updates:
            await before.users.put([new_user(updates.pop(), "updated")])
        return await run(self, name, args)

    monkeypatch.setattr(RedisConnection, "run", update_first)
    assert await after.users.reseal() == 700
    newest = Cipher([new])
    async for page in after.users.all():
        for stored in page:
            password = newest.open(stored.user.cloud_id, stored.sealed).user_pw
            assert password == (
                "updated" if stored.user.cloud_id in ("000001", "000002") else "as-it-was"
            )
    await before.close()
    await after.close()


# Memory ------------------------------------------------------------------------------------------


async def test_a_user_takes_less_than_a_kilobyte(store: UserStore, redis_url: str) -> None:
    count, state = 5000, lived_in_state()
    ids = [f"{number * 3301:06x}" for number in range(count)]
    with redis.Redis.from_url(redis_url) as client:
        before = client.info("memory")["used_memory"]
        for start in range(0, count, 500):
            await store.users.put(
                [
                    new_user(cloud_id, "a-password-of-24-letters")
                    for cloud_id in ids[start : start + 500]
                ]
            )
            claims = await all_claimed(store, ids[start : start + 500])
            await store.schedule.begin(claims)
            await store.schedule.report(reports(claims, state), {})
        per_user = (client.info("memory")["used_memory"] - before) / count
    assert sum(len(seen) for seen in state.recent.values()) == 15
    assert per_user < 1000


async def test_a_redis_without_memory_refuses_new_work_and_accepts_reports(
    tmp_path: Path, cipher: Cipher
) -> None:
    with RedisServer(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        store = redis_store(server.url, cipher=cipher)
        await store.users.put([new_user("000001")])
        await store.users.put([new_user("000002")])
        [claim] = await all_claimed(store, ["000001"])
        client.config_set("maxmemory", "1")
        for refused in (
            store.users.put([new_user("000003")]),
            store.schedule.lease(10),
            store.schedule.request(["000002"], once="message-1"),
        ):
            with pytest.raises(RedisUnavailable, match="out of memory"):
                await refused
        answer = await store.schedule.report(
            reports([claim], UserState(total_events_logged=7)), {"fetches": 1}
        )
        assert (answer.lost, await store.fleet.tally()) == (frozenset(), {"fetches": 1})
        assert await breaches(store.users) == []
        client.config_set("maxmemory", "0")
        assert await store.schedule.lease(10) == ["000002"]
        assert not (await store.schedule.request(["000001"], once="message-1")).seen_before
        stored = await store.users.get("000001")
        assert stored
        assert stored.state.total_events_logged == 7
        await store.close()


# Away --------------------------------------------------------------------------------------------


async def test_the_store_works_again_when_redis_is_back(tmp_path: Path, cipher: Cipher) -> None:
    with RedisServer(tmp_path, "--appendonly", "yes", "--appendfsync", "always") as server:
        store = redis_store(server.url, cipher=cipher)
        await store.users.put([new_user("00ce69")])
        server.kill()
        for _ in range(2):
            with pytest.raises(RedisUnavailable, match=f"127.0.0.1:{server.port}"):
                await store.schedule.lease(1)
        server.start()
        assert await store.schedule.lease(1) == ["00ce69"]
        await store.close()


async def test_error_messages_never_show_the_password_in_the_url() -> None:
    store = redis_store("redis://user:not-to-be-shown@127.0.0.1:1/3", cipher=None)
    with pytest.raises(RedisUnavailable) as caught:
        await store.fleet.now()
    assert "redis://user:***@127.0.0.1:1/3" in str(caught.value)
    shown = str(caught.value) + repr(caught.value.__cause__)
    assert "not-to-be-shown" not in shown
    await store.close()


async def test_a_page_stays_full_when_a_user_is_removed_while_it_is_read(
    redis_url: str, cipher: Cipher, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other = (redis_store(redis_url, cipher=cipher), redis_store(redis_url, cipher=cipher))
    await store.users.put([new_user(f"00000{number}") for number in range(6)])
    read = listing.rows

    async def remove_then_read(*arguments: Any) -> Any:
        await other.users.remove("000001")
        return await read(*arguments)

    monkeypatch.setattr("eagle_logger.users.redis.users.rows", remove_then_read)
    pages = [[stored.user.cloud_id for stored in page] async for page in store.users.all(batch=3)]
    assert pages == [["000000", "000002", "000003"], ["000004", "000005"]]
    await store.close()
    await other.close()


# Clocks ------------------------------------------------------------------------------------------


class ClockAhead(Clock):
    """A machine's clock that is so many seconds ahead."""

    @property
    def seconds(self) -> float:
        return 25.0

    def now(self) -> float:
        return super().now() + self.seconds


async def test_a_progress_note_says_how_far_the_clock_is_ahead_of_redis(
    redis_url: str, store: UserStore
) -> None:
    skewed = redis_store(redis_url, cipher=None, clock=ClockAhead())
    assert await skewed.fleet.note_progress("fetch-1", {}) == pytest.approx(25.0, abs=0.5)
    assert await store.fleet.note_progress("fetch-2", {}) == pytest.approx(0.0, abs=0.5)
    noted = {name: note["clock_ahead"] for name, note in (await store.fleet.progress()).items()}
    assert noted == {
        "fetch-1": pytest.approx(25.0, abs=0.5),
        "fetch-2": pytest.approx(0.0, abs=0.5),
    }
    await skewed.close()


async def test_a_claim_after_redis_clock_was_set_does_not_begin_a_request(
    store: UserStore, redis_url: str, cipher: Cipher
) -> None:
    """By Redis' clock the last request is long past; in truth it may have been a moment ago."""
    connection = RedisConnection(RedisAddress.parse(redis_url))
    redis_time = RedisTime(connection, Clock(), lease=20.0)
    schedule = RedisSchedule(connection, redis_time, cipher)
    await store.users.put([new_user("000001"), new_user("000002")])
    await schedule.request(["000001", "000002"])
    [before] = await schedule.claim(["000001"], "worker")
    assert before.begun
    at = time.monotonic()
    redis_time.jumps.note(before.claimed_at - 30.0, sent=at, received=at)
    [after] = await schedule.claim(["000002"], "worker")
    assert (after.begun, after.last_request) == (False, after.claimed_at)
    await connection.close()


async def test_a_progress_note_from_before_redis_clock_was_set_back_is_left_out(
    store: UserStore, redis_url: str
) -> None:
    await store.fleet.note_progress("fetch-1", {})
    note = {"at": await store.fleet.now() + 3600}
    with redis.Redis.from_url(redis_url) as client:
        client.hset("eagle:progress", "dead-since", json.dumps(note))
    assert list(await store.fleet.progress()) == ["fetch-1"]


async def test_a_lease_looks_at_only_some_of_very_many_suspects(
    store: UserStore, redis_url: str
) -> None:
    """A whole fleet may be suspected; Redis then serves its workers all the same."""
    with redis.Redis.from_url(redis_url) as client:
        client.sadd("eagle:suspects", *(f"{number:06x}" for number in range(2500)))
        looked_at = []
        for _ in range(3):
            before = client.scard("eagle:suspects")
            await store.schedule.lease(1)
            looked_at.append(before - client.scard("eagle:suspects"))
    assert looked_at == [1000, 1000, 500]
