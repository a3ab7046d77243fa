"""A whole bridge on loopback, with a real Redis behind it and a small SNS before it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from kombu.exceptions import OperationalError

from eagle_logger import wiring
from eagle_logger.core.users import Credentials, User
from eagle_logger.settings import Settings, load
from eagle_logger.sns.topics import Topic
from eagle_logger.users.cipher import new_key
from eagle_logger.users.store import NewUser, UserStore
from tests.support.fake_sns import TOPIC, FakeSns
from workers.server.lifecycle import running_bridge

TOKEN = "a token for tests"  # not a secret


@dataclass
class Queue:
    """What was enqueued, message by message."""

    messages: list[list[str]] = field(default_factory=list)
    away: bool = False

    @property
    def users(self) -> list[str]:
        """All users that were enqueued, in order. How many share a message depends on timing."""
        return [cloud_id for message in self.messages for cloud_id in message]

    def __call__(self, cloud_ids: Sequence[str]) -> None:
        if self.away:
            raise OperationalError("the broker is away")
        self.messages.append(list(cloud_ids))


@dataclass
class Confirmed:
    """What was confirmed; `failures` that come first."""

    tokens: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, topic: Topic, token: str) -> str:
        self.tokens.append((topic.arn, token))
        return f"{topic.arn}:subscription"


@pytest.fixture
def sns() -> FakeSns:
    return FakeSns()


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def confirmed() -> Confirmed:
    return Confirmed()


@pytest.fixture
def settings(redis_url: str, tmp_path: Path) -> Settings:
    return load(
        tmp_path,
        redis_url=redis_url,
        sns_topic_arns=(TOPIC,),
        api_token=TOKEN,
        secret_keys=new_key(),
        bridge_port=0,
    )


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[UserStore]:
    store = wiring.user_store(settings, passwords=True)
    await store.users.put([new_user(cloud_id) for cloud_id in ("00ce69", "002738", "ffffff")])
    yield store
    await store.close()


@pytest.fixture
async def bridge(
    settings: Settings, store: UserStore, sns: FakeSns, queue: Queue, confirmed: Confirmed
) -> AsyncIterator[str]:
    async with running_bridge(
        settings, queue, fetch_certificate=sns.fetch_certificate, confirm=confirmed
    ) as url:
        yield url


@pytest.fixture
async def http(bridge: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(
        bridge, headers={"Authorization": f"Bearer {TOKEN}"}
    ) as session:
        yield session


def new_user(cloud_id: str) -> NewUser:
    return NewUser(User(cloud_id), Credentials(cloud_id, "a@example.com", "secret word"))
