from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from eagle_logger.users.cipher import Cipher, new_key
from eagle_logger.users.memory.store import memory_store
from eagle_logger.users.redis.store import redis_store
from eagle_logger.users.store import UserStore
from tests.support.hand_clock import HandClock
from tests.support.set_membership import breaches, strays

LEASE = 20.0


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def cipher() -> Cipher:
    return Cipher([new_key()])


@pytest.fixture(params=["memory", "redis"])
async def store(
    request: pytest.FixtureRequest, clock: HandClock, cipher: Cipher
) -> AsyncIterator[UserStore]:
    """Each adapter in turn, empty, on the test's clock. At the end every user must be in exactly
    the set where it belongs."""
    if request.param == "memory":
        store = memory_store(clock, cipher=cipher, lease=LEASE)
    else:
        store = redis_store(
            request.getfixturevalue("redis_url"), cipher=cipher, clock=clock, lease=LEASE
        )
    yield store
    assert await breaches(store.users) == []
    if request.param == "redis":
        assert strays(request.getfixturevalue("redis_url")) == []
    await store.close()
