"""From `ping` through a topic and a queue to a fetch, with the real boto3 and moto's server."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from click.testing import CliRunner
from moto.server import ThreadedMotoServer
from pydantic import SecretStr
from structlog.testing import capture_logs
from types_boto3_sqs import SQSClient

from eagle_logger import wiring
from eagle_logger.errors import EagleError, RedisUnavailable
from eagle_logger.settings import Settings
from eagle_logger.sns.topics import Topic
from eagle_logger.users.store import UserStore
from tests.integration.bridge.conftest import Queue, new_user
from tests.support.fake_sns import TOPIC
from tests.support.polling import PATIENCE_S, until
from tests.support.redis_server import RedisServer
from workers.bridge import aws_clients, ping_and_subscribe
from workers.bridge.adhoc_requests import AdhocRequests
from workers.bridge.sns_verifier import make_verifier
from workers.server.subscription_confirmation import confirm_through_boto3
from workers.sqs import Receiver, receive

DEAD_LETTERS_AFTER = 2


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def cloud(settings: Settings, moto: str) -> Settings:
    """Settings with a topic and a queue of this test's own, not subscribed yet."""
    urllib.request.urlopen(urllib.request.Request(f"{moto}/moto-api/reset", method="POST")).close()
    there = settings.model_copy(
        update={
            "aws_endpoint_url": moto,
            "aws_access_key_id": "testing",
            "aws_secret_access_key": SecretStr("testing"),
        }
    )
    aws_clients.sns(there, Topic.parse(TOPIC)).create_topic(Name="fetch")
    client = aws_clients.sqs(there, moto)
    dead = client.create_queue(QueueName="dead")["QueueUrl"]
    dead_arn = client.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])[
        "Attributes"
    ]["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": DEAD_LETTERS_AFTER})
    attributes = {"RedrivePolicy": redrive, "VisibilityTimeout": "0"}
    queue = client.create_queue(QueueName="fetch", Attributes=attributes)["QueueUrl"]  # type: ignore[arg-type]
    client.close()
    return there.model_copy(update={"sqs_queue_url": queue})


@pytest.fixture(autouse=True)
def short_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_clients, "LONG_POLL_S", 1)
    monkeypatch.setattr("workers.sqs.FIRST_RETRY_PAUSE_S", 0.02)


@dataclass
class Broker:
    away: bool = False

    async def check(self) -> None:
        if self.away:
            raise RedisUnavailable("the broker is away")


@asynccontextmanager
async def receiving(
    cloud: Settings, store: UserStore, queue: Queue, broker: Broker | None = None
) -> AsyncIterator[SQSClient]:
    assert cloud.sqs_queue_url is not None
    client = aws_clients.sqs(cloud, cloud.sqs_queue_url)
    stop, adhoc = asyncio.Event(), AdhocRequests(store.schedule, queue)
    receiver = Receiver(
        client,
        cloud.sqs_queue_url,
        verifier=make_verifier(cloud),
        fleet=store.fleet,
        adhoc=adhoc,
        check_broker=(broker or Broker()).check,
    )
    running = asyncio.create_task(receiver.run(stop))
    try:
        yield client
    finally:
        stop.set()
        await asyncio.wait_for(running, PATIENCE_S)
        adhoc.close()
        client.close()


def run(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, command: str, *words: str
) -> list[str]:
    monkeypatch.setattr("eagle_logger.settings.load", lambda _: settings)
    result = CliRunner().invoke(getattr(ping_and_subscribe, command), words, catch_exceptions=False)
    assert result.exit_code == 0
    return result.output.splitlines()


async def in_thread(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, command: str, *words: str
) -> list[str]:
    return await asyncio.to_thread(run, settings, monkeypatch, command, *words)


def count(logged: list[Any], event: str) -> int:
    return sum(line["event"] == event for line in logged)


def left(client: SQSClient, name: str) -> int:
    url = client.get_queue_url(QueueName=name)["QueueUrl"]
    names: list[Any] = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    counts = client.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(count) for name, count in counts.items() if name in names)


async def test_ping_goes_all_the_way(
    cloud: Settings, store: UserStore, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = await in_thread(
        cloud, monkeypatch, "subscribe", "--sqs", "arn:aws:sqs:us-east-1:123456789012:fetch"
    )
    assert lines[0].startswith("allowed")
    again = await in_thread(cloud, monkeypatch, "subscribe", "--sqs", str(cloud.sqs_queue_url))
    assert "already" in again[0]
    assert lines[2] == again[2]
    async with receiving(cloud, store, queue) as client:
        assert (await in_thread(cloud, monkeypatch, "ping", "002738"))[0].startswith(
            f"published 002738 to {TOPIC}"
        )
        await in_thread(cloud, monkeypatch, "ping", "FFFFFF", "00ce69", "ffffff")
        await until(lambda: len(queue.users) == 3)
        await until(lambda: left(client, "fetch") == 0)
    assert sorted(queue.users) == ["002738", "00ce69", "ffffff"]
    assert left(client, "dead") == 0


async def test_an_http_subscription_waits_for_the_bridge_to_confirm(
    cloud: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = await in_thread(
        cloud, monkeypatch, "subscribe", "--http", "https://bridge.example.com/sns"
    )
    assert lines[0] == f"subscribed https://bridge.example.com/sns to {TOPIC}"
    elsewhere = cloud.model_copy(update={"sns_topic_arns": ()})
    lines = await in_thread(
        elsewhere,
        monkeypatch,
        "subscribe",
        "--http",
        "http://bridge.example.com/sns",
        "--topic",
        TOPIC,
    )
    assert any("EAGLE_SNS_TOPIC_ARNS" in line for line in lines)
    subscription = await asyncio.to_thread(
        confirm_through_boto3(cloud), Topic.parse(TOPIC), "a token"
    )
    assert subscription.startswith(TOPIC)


async def test_two_receivers_fetch_each_raw_message_once(
    cloud: Settings, store: UserStore, queue: Queue
) -> None:
    async with receiving(cloud, store, queue) as client, receiving(cloud, store, queue):
        for body in ("002738", '{"cloud_ids": ["00ce69", "abcdef"]}'):
            client.send_message(QueueUrl=str(cloud.sqs_queue_url), MessageBody=body)
        await until(lambda: left(client, "fetch") == 0)
    assert sorted(queue.users) == ["002738", "00ce69"]


async def test_a_message_that_cannot_be_understood_goes_to_the_dead_letters(
    cloud: Settings, store: UserStore, queue: Queue
) -> None:
    with capture_logs() as logged:
        async with receiving(cloud, store, queue) as client:
            client.send_message(QueueUrl=str(cloud.sqs_queue_url), MessageBody="hello")
            client.send_message(QueueUrl=str(cloud.sqs_queue_url), MessageBody="002738")
            await until(lambda: left(client, "dead") == 1)
    assert queue.messages == [["002738"]]
    refused = [line for line in logged if line["event"] == "sqs_message_refused"]
    assert len(refused) == DEAD_LETTERS_AFTER
    assert refused[0]["reason"] == "no_cloud_id"
    assert refused[0]["message_id"] == f"sqs:{refused[0]['sqs_id']}"


async def test_a_message_wrapped_by_sns_is_logged_with_its_id_at_sns(
    cloud: Settings, store: UserStore, queue: Queue
) -> None:
    strange = {
        "Type": "Notification",
        "TopicArn": f"{TOPIC}-of-others",
        "MessageId": "named-by-sns",
        "Message": "002738",
    }
    with capture_logs() as logged:
        async with receiving(cloud, store, queue) as client:
            sent = client.send_message(
                QueueUrl=str(cloud.sqs_queue_url), MessageBody=json.dumps(strange)
            )
            await until(lambda: count(logged, "sqs_message_refused") > 0)
    refused = next(line for line in logged if line["event"] == "sqs_message_refused")
    assert (refused["message_id"], refused["sqs_id"], refused["reason"]) == (
        "named-by-sns",
        sent["MessageId"],
        "topic_not_allowed",
    )


async def test_a_message_is_not_deleted_before_its_fetch_is_enqueued(
    cloud: Settings, store: UserStore, queue: Queue
) -> None:
    queue.away = True
    with capture_logs() as logged:
        async with receiving(cloud, store, queue) as client:
            client.send_message(QueueUrl=str(cloud.sqs_queue_url), MessageBody="002738")
            await until(lambda: count(logged, "sqs_message_postponed") > 0)
            # A message that is on its way from one count to another may be in neither.
            await until(lambda: left(client, "fetch") + left(client, "dead") == 1)
    assert queue.messages == []
    line = next(line for line in logged if line["event"] == "sqs_message_postponed")
    assert (line["message_id"], line["cloud_ids"]) == (f"sqs:{line['sqs_id']}", ("002738",))


async def test_while_the_broker_is_away_nothing_is_received(
    cloud: Settings, store: UserStore, queue: Queue
) -> None:
    broker = Broker(away=True)
    with capture_logs() as logged:
        async with receiving(cloud, store, queue, broker) as client:
            client.send_message(QueueUrl=str(cloud.sqs_queue_url), MessageBody="002738")
            await until(lambda: count(logged, "sqs_retry_later") > DEAD_LETTERS_AFTER)
            broker.away = False
            await until(lambda: left(client, "fetch") == 0)
    assert queue.messages == [["002738"]]
    assert left(client, "dead") == 0


async def test_redis_away_is_survived_and_nothing_is_received_meanwhile(
    cloud: Settings, tmp_path: Path
) -> None:
    queue = Queue()
    with RedisServer(tmp_path, "--appendonly", "yes") as server, capture_logs() as logged:
        store = wiring.user_store(
            cloud.model_copy(update={"redis_url": server.url}), passwords=True
        )
        cloud_ids = [f"{number:06x}" for number in range(30)]
        await store.users.put([new_user(cloud_id) for cloud_id in cloud_ids])
        server.stop()
        async with receiving(cloud, store, queue) as client:
            for cloud_id in cloud_ids:
                client.send_message(QueueUrl=str(cloud.sqs_queue_url), MessageBody=cloud_id)
            await until(lambda: count(logged, "sqs_retry_later") >= 3)
            assert left(client, "fetch") == len(cloud_ids)
            server.start()
            await until(lambda: left(client, "fetch") == 0)
        assert sorted(queue.users) == cloud_ids
        assert left(client, "dead") == 0
        await store.close()


async def test_sqs_away_is_survived(cloud: Settings, store: UserStore, queue: Queue) -> None:
    nowhere = cloud.model_copy(update={"aws_endpoint_url": "http://127.0.0.1:9"})
    with capture_logs() as logged:
        async with receiving(nowhere, store, queue):
            await until(lambda: count(logged, "sqs_retry_later") >= 3)
    assert queue.messages == []


@pytest.mark.parametrize(
    "answer", [b"<html>Sign in</html>", b"", b"[]", b'{"Messages": "none"}', b"\xff\xfe", b"{}"]
)
async def test_a_server_that_is_not_sqs_is_survived_and_not_asked_without_end(
    cloud: Settings, store: UserStore, queue: Queue, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.sqs.FIRST_RETRY_PAUSE_S", 30)
    asked: list[str] = []

    async def say(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(body=answer, content_type="application/x-amz-json-1.0")

    application = web.Application()
    application.router.add_post("/{path:.*}", say)
    async with TestServer(application) as server:
        with capture_logs() as logged:
            async with receiving(
                cloud.model_copy(update={"aws_endpoint_url": str(server.make_url("/"))}),
                store,
                queue,
            ):
                await until(lambda: count(logged, "sqs_retry_later") > 0)
    assert len(asked) == 1
    assert queue.messages == []


async def test_the_process_ends_at_once_though_a_poll_is_open(
    cloud: Settings, store: UserStore, tmp_path: Path
) -> None:
    secret = cloud.aws_secret_access_key
    environment = {
        "EAGLE_DATA_DIR": str(tmp_path),
        "EAGLE_REDIS_URL": cloud.redis_url,
        "EAGLE_AWS_ENDPOINT_URL": str(cloud.aws_endpoint_url),
        "EAGLE_AWS_ACCESS_KEY_ID": str(cloud.aws_access_key_id),
        "EAGLE_AWS_SECRET_ACCESS_KEY": secret.get_secret_value() if secret else "",
        "EAGLE_SQS_QUEUE_URL": str(cloud.sqs_queue_url),
        "EAGLE_LOG_FORMAT": "json",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "workers.sqs", env=environment, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        while b'"receiver_started"' not in (
            line := await asyncio.wait_for(process.stderr.readline(), PATIENCE_S)
        ):
            assert line, "it ended"
        await until(lambda: _polls(store))
        process.send_signal(signal.SIGTERM)
        _, log = await asyncio.wait_for(process.communicate(), 15)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, log.decode()
    assert b"Traceback" not in log


async def _polls(store: UserStore) -> bool:
    return any(name.startswith("sqs") for name in await store.fleet.progress())


def test_without_a_queue_in_the_settings_the_receiver_does_not_start(
    settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(EagleError, match="EAGLE_SQS_QUEUE_URL"):
        asyncio.run(receive(settings, Queue()))
