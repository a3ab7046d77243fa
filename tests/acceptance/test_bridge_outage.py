"""Redis is away while a thousand messages come in, over HTTP and through SQS."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from eagle_logger import settings as settings_module
from eagle_logger import wiring
from eagle_logger.core.kinds import Kind
from eagle_logger.core.users import UserState
from eagle_logger.settings import Settings
from eagle_logger.sns.topics import Topic
from eagle_logger.users.cipher import new_key
from eagle_logger.users.store import StoredUser, UserStore
from tests.acceptance.running import EAGLE_LOGGER
from tests.support.bridge_process import write_certificates
from tests.support.fake_sns import TOPIC, FakeSns
from tests.support.polling import PATIENCE_S, until, wait_until
from tests.support.programs import BEAT, Programs
from tests.support.redis_server import RedisServer
from tests.support.set_membership import breaches
from workers.bridge import aws_clients
from workers.up.ports import free_port
from workers.up.simulators import read_homes

pytestmark = pytest.mark.timeout(600)

HOMES = 1000
OUTAGE_S = 15.0
BY_HTTP, BY_SQS = slice(0, 600), slice(400, HOMES)
"""Two hundred homes are named by both ways, in different messages."""
SELDOM = {
    "EAGLE_DEMAND_INTERVAL": "1d",
    "EAGLE_SUMMATION_INTERVAL": "2d",
    "EAGLE_PRICE_INTERVAL": "2d",
    "EAGLE_MESSAGE_INTERVAL": "2d",
}
"""Without these, the schedule would do the messages' work."""
SNS_TRIES_AGAIN_AFTER_S = 3.0
QUEUE_ARN = "arn:aws:sqs:us-east-1:123456789012"


class Stage(Programs):
    """The processes of the test, and their settings."""

    def __init__(self, directory: Path, settings: Mapping[str, str]) -> None:
        super().__init__(directory, {"EAGLE_DATA_DIR": str(directory / "data"), **settings})
        values = {name.removeprefix("EAGLE_").lower(): value for name, value in settings.items()}
        self.settings = settings_module.load(directory / "data", **values)


class Relay:
    """The simulated relay, and its statistics of each home."""

    def __init__(self, stage: Stage, url: str) -> None:
        port = str(urlsplit(url).port)
        self._url = f"http://127.0.0.1:{port}"
        self.users_file = stage.directory / "users.jsonl"
        options = ["--homes", str(HOMES), "--port", port, "--latency", "0.1"]
        options += ["--users-file", str(self.users_file)]
        stage.python("simulator", *EAGLE_LOGGER[1:], "simulate", *options)
        wait_until(lambda: "EAGLE_RELAY_URL=" in stage.output("simulator"))

    def per_home(self) -> dict[str, dict[str, Any]]:
        with urllib.request.urlopen(f"{self._url}/stats?homes=all", timeout=30) as reply:
            statistics: dict[str, dict[str, Any]] = json.load(reply)["per_home"]
        return statistics


def until_answers(url: str) -> None:
    def answers() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return True
        except OSError:
            return False

    wait_until(answers)


def start_workers(stage: Stage) -> None:
    for name, queues in (("dispatcher", "dispatch,adhoc"), ("fetch-1", "fetch")):
        options = ("-n", f"{name}@%h", "-Q", queues, "-P", "threads", "-c", "16")
        stage.celery(name, "worker", *options)
    stage.celery("beat", *BEAT)
    stage.python("sqs", "-m", "workers.sqs")
    stage.python(
        "bridge", "-m", "tests.support.bridge_process", str(stage.directory / "certificates.json")
    )


def create_topic_and_queue(settings: Settings) -> None:
    """Create a topic, a queue that is subscribed to it, and a queue for messages that were received
    three times without being deleted."""
    sqs, sns = (
        aws_clients.sqs(settings, str(settings.sqs_queue_url)),
        aws_clients.sns(settings, Topic.parse(TOPIC)),
    )
    sqs.create_queue(QueueName="dead")
    redrive = json.dumps({"deadLetterTargetArn": f"{QUEUE_ARN}:dead", "maxReceiveCount": 3})
    assert (
        sqs.create_queue(QueueName="fetch", Attributes={"RedrivePolicy": redrive})["QueueUrl"]
        == settings.sqs_queue_url
    )
    sns.create_topic(Name="fetch")
    sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=f"{QUEUE_ARN}:fetch")


def publish(settings: Settings, cloud_ids: Sequence[str]) -> None:
    client = aws_clients.sns(settings, Topic.parse(TOPIC))
    for start in range(0, len(cloud_ids), 10):
        entries: list[Any] = [
            {"Id": cloud_id, "Message": cloud_id} for cloud_id in cloud_ids[start : start + 10]
        ]
        published = client.publish_batch(TopicArn=TOPIC, PublishBatchRequestEntries=entries)
        assert not published.get("Failed")


def messages_in(settings: Settings, queue: str) -> int:
    client = aws_clients.sqs(settings, str(settings.sqs_queue_url))
    names: list[Any] = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    url = client.get_queue_url(QueueName=queue)["QueueUrl"]
    attributes = client.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(number) for name, number in attributes.items() if name in names)


async def register(store: UserStore, settings: Settings, users_file: Path) -> list[str]:
    """Register the homes as if they had been users for long: each has one visit at once, and the
    next ones are far ahead. Returns their cloud ids."""
    cipher, state = wiring.cipher(settings), UserState(asked=dict.fromkeys(Kind, time.time()))
    stored = [
        StoredUser(home.user, cipher.seal(home.credentials), state, None, None)
        for home in read_homes(users_file)
    ]
    for start in range(0, len(stored), 500):
        await store.users.restore(stored[start : start + 500])
    return [one.user.cloud_id for one in stored]


async def deliver(
    sns: FakeSns, endpoint: str, cloud_ids: Sequence[str], statuses: Mapping[str, list[int]]
) -> None:
    await asyncio.gather(
        *(
            sns.deliver(
                endpoint,
                sns.notification(cloud_id),
                pause=SNS_TRIES_AGAIN_AFTER_S,
                statuses=statuses[cloud_id],
            )
            for cloud_id in cloud_ids
        )
    )


async def test_a_thousand_messages_survive_that_redis_is_away(tmp_path: Path) -> None:
    sns = FakeSns()
    write_certificates(sns, tmp_path / "certificates.json")
    (tmp_path / "redis").mkdir()
    relay_port, aws_port, bridge_port = free_port(), free_port(), free_port()
    settings = {
        "EAGLE_RELAY_URL": f"http://127.0.0.1:{relay_port}/cgi-bin/post_manager",
        "EAGLE_AWS_ENDPOINT_URL": f"http://127.0.0.1:{aws_port}",
        "EAGLE_AWS_ACCESS_KEY_ID": "testing",
        "EAGLE_AWS_SECRET_ACCESS_KEY": "testing",
        "EAGLE_SQS_QUEUE_URL": f"http://127.0.0.1:{aws_port}/123456789012/fetch",
        "EAGLE_SNS_TOPIC_ARNS": TOPIC,
        "EAGLE_BRIDGE_PORT": str(bridge_port),
        "EAGLE_SECRET_KEYS": new_key(),
        "EAGLE_LOG_FORMAT": "json",
        **SELDOM,
    }
    with RedisServer(tmp_path / "redis", "--appendonly", "yes") as server:
        settings["EAGLE_REDIS_URL"] = server.url
        with Stage(tmp_path, settings) as stage:
            store = wiring.user_store(stage.settings, passwords=True)
            try:
                await outage(stage, server, store, sns, f"http://127.0.0.1:{bridge_port}")
            finally:
                await store.close()


async def outage(
    stage: Stage, server: RedisServer, store: UserStore, sns: FakeSns, bridge: str
) -> None:
    settings = stage.settings
    relay = Relay(stage, settings.relay_url)
    aws_port = str(urlsplit(settings.aws_endpoint_url).port)
    stage.python("aws", "-m", "moto.server", "-H", "127.0.0.1", "-p", aws_port)
    until_answers(f"{settings.aws_endpoint_url}/moto-api/")
    create_topic_and_queue(settings)
    start_workers(stage)
    cloud_ids = await register(store, settings, relay.users_file)
    until_answers(f"{bridge}/healthz")
    await until(lambda: at_rest(store, relay, dict.fromkeys(cloud_ids, 1)))
    asked_before = {cloud_id: home["requests"] for cloud_id, home in relay.per_home().items()}
    await until(lambda: reports_progress(store, "sqs"))

    server.stop()
    gone = time.monotonic()
    statuses: dict[str, list[int]] = {cloud_id: [] for cloud_id in cloud_ids[BY_HTTP]}
    delivering = asyncio.create_task(deliver(sns, f"{bridge}/sns", cloud_ids[BY_HTTP], statuses))
    await asyncio.to_thread(publish, settings, cloud_ids[BY_SQS])
    await until(lambda: time.monotonic() > gone + OUTAGE_S and all(statuses.values()))
    # The stand-in counts first visible messages, then invisible ones. A message that becomes
    # visible in between is in neither count, so we ask again until the count is right.
    await until(lambda: messages_in(settings, "fetch") == len(cloud_ids[BY_SQS]))
    server.start()

    await asyncio.wait_for(delivering, PATIENCE_S)
    await until(
        lambda: at_rest(store, relay, {name: count + 1 for name, count in asked_before.items()})
    )
    assert {several[-1] for several in statuses.values()} == {200}
    assert {status for several in statuses.values() for status in several[:-1]} <= {503, 429}
    # The receiver deletes a message once its fetch is sent, so the last one may still be there.
    await until(lambda: messages_in(settings, "fetch") == 0)
    assert messages_in(settings, "dead") == 0
    assert {home["most_in_flight"] for home in relay.per_home().values()} == {1}
    assert await breaches(store.users) == []


async def reports_progress(store: UserStore, process: str) -> bool:
    return process in await store.fleet.progress()


async def at_rest(store: UserStore, relay: Relay, expected: Mapping[str, int]) -> bool:
    """Whether every home was asked so often, and no user is being fetched."""
    await asyncio.sleep(0.3)  # the relay's statistics of all homes are not cheap
    asked = await asyncio.to_thread(relay.per_home)
    if any(asked[cloud_id]["requests"] < count for cloud_id, count in expected.items()):
        return False
    return (await store.fleet.totals()).leased == 0
