from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest
from kombu.exceptions import OperationalError

from eagle_logger.core.users import Credentials, User
from eagle_logger.errors import RedisUnavailable
from eagle_logger.users.memory.store import memory_store
from eagle_logger.users.store import NewUser, UserStore
from tests.support.polling import until
from workers.bridge.adhoc_requests import AdhocRequests, Enqueue
from workers.bridge.counters import Counters


@pytest.fixture
async def store() -> UserStore:
    store = memory_store()
    await store.users.put(
        [NewUser(User("00ce69"), Credentials("00ce69", "a@example.com", "secret"))]
    )
    return store


def hanging(let_go: threading.Event) -> Enqueue:
    def enqueue(_: Sequence[str]) -> None:
        let_go.wait(10)

    return enqueue


async def test_a_request_that_was_not_enqueued_may_be_repeated(store: UserStore) -> None:
    def away(_: Sequence[str]) -> None:
        raise OperationalError("connection refused")

    adhoc = AdhocRequests(store.schedule, away)
    with pytest.raises(RedisUnavailable, match="connection refused"):
        await adhoc.fetch_now(["00ce69"], once="one")
    again = await store.schedule.request(["00ce69"], once="one")
    assert (again.seen_before, again.leased) == (False, ("00ce69",))
    adhoc.close()


async def test_a_user_who_could_not_be_enqueued_is_due_at_once(store: UserStore) -> None:
    def away(_: Sequence[str]) -> None:
        raise OperationalError("connection refused")

    adhoc = AdhocRequests(store.schedule, away)
    with pytest.raises(RedisUnavailable):
        await adhoc.fetch_now(["00ce69"])
    assert (await store.fleet.totals()).due == 1
    assert await store.schedule.lease(1) == ["00ce69"]
    adhoc.close()


async def test_a_broker_that_hangs_is_not_waited_for(store: UserStore) -> None:
    let_go = threading.Event()
    adhoc = AdhocRequests(store.schedule, hanging(let_go), publish_within=0.05)
    with pytest.raises(RedisUnavailable):
        await adhoc.fetch_now(["00ce69"], once="one")
    let_go.set()
    adhoc.close()


async def test_a_slow_broker_does_not_hold_up_the_event_loop(store: UserStore) -> None:
    let_go, ticks = threading.Event(), 0
    adhoc = AdhocRequests(store.schedule, hanging(let_go))
    request = asyncio.create_task(adhoc.fetch_now(["00ce69"]))
    while ticks < 5:
        await asyncio.sleep(0.001)
        ticks += 1
    assert not request.done()
    let_go.set()
    assert (await request).leased == ("00ce69",)
    adhoc.close()


async def all_users_are_leased(store: UserStore) -> bool:
    totals = await store.fleet.totals()
    return totals.leased == totals.users


async def test_requests_that_come_while_a_message_is_published_share_the_next_one(
    store: UserStore,
) -> None:
    await store.users.put(
        [
            NewUser(User(name), Credentials(name, "a@example.com", "secret"))
            for name in ("002738", "ffffff")
        ]
    )
    began, let_go, published = threading.Event(), threading.Event(), list[Sequence[str]]()

    def slow(cloud_ids: Sequence[str]) -> None:
        published.append(cloud_ids)
        began.set()
        let_go.wait(10)

    adhoc = AdhocRequests(store.schedule, slow)
    first = asyncio.create_task(adhoc.fetch_now(["00ce69"]))
    await asyncio.to_thread(began.wait, 10)
    others = [asyncio.create_task(adhoc.fetch_now([name])) for name in ("002738", "ffffff")]
    await until(lambda: all_users_are_leased(store))
    let_go.set()
    assert [result.leased for result in await asyncio.gather(first, *others)] == [
        ("00ce69",),
        ("002738",),
        ("ffffff",),
    ]
    assert published == [["00ce69"], ["002738", "ffffff"]]
    adhoc.close()


async def test_no_message_is_published_for_unknown_users(store: UserStore) -> None:
    published: list[Sequence[str]] = []
    adhoc = AdhocRequests(store.schedule, published.append)
    assert (await adhoc.fetch_now(["abcdef"])).unknown == ("abcdef",)
    assert published == []
    adhoc.close()


async def test_counters_are_kept_until_redis_is_back(
    store: UserStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    counters = Counters(store.fleet)

    async def away(_: object) -> None:
        raise RedisUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(store.fleet, "count", away)
        counters.add("sns_queued")
        await counters.flush()
    counters.add("sns_queued", 2)
    await counters.flush()
    await counters.flush()
    assert await store.fleet.tally() == {"sns_queued": 3}
