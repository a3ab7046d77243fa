"""Messages that nobody takes. A queue keeps the newest few, a worker that comes back is not held up
by those that wait, and a warning counts the dropped ones."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import redis
from celery import Celery
from structlog.testing import capture_logs

from eagle_logger import wiring
from eagle_logger.broker_queues import ADHOC, DISPATCH, fetch_queue
from eagle_logger.settings import Settings
from tests.support.polling import until
from tests.support.programs import BEAT, WORKER, Programs, settings_of_workers
from workers.app import make_app
from workers.bridge.publisher import make_publisher
from workers.process import celery_transport
from workers.process.celery_transport import LONGEST_DISPATCH_QUEUE

PREFETCHED = 4 + 1
"""Messages that a worker of four threads takes at once, and one on its way. They are given to
another after twenty minutes."""


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return Settings(redis_url=redis_url, max_waiting_messages=20)


@pytest.fixture
def app(settings: Settings) -> Celery:
    return make_app(settings)


@pytest.fixture
def broker(settings: Settings) -> redis.Redis:
    return redis.Redis.from_url(settings.broker)


def waiting(broker: redis.Redis, queue: str) -> list[str]:
    """The names of the tasks, newest first."""
    return [json.loads(message)["headers"]["task"] for message in broker.lrange(queue, 0, -1)]


def test_beats_queue_keeps_the_newest_messages(app: Celery, broker: redis.Redis) -> None:
    for number in range(3 * LONGEST_DISPATCH_QUEUE):
        app.send_task("rotate" if number == 25 else "dispatch", queue=DISPATCH)
    expected = ["dispatch"] * LONGEST_DISPATCH_QUEUE
    expected[3 * LONGEST_DISPATCH_QUEUE - 1 - 25] = "rotate"
    assert waiting(broker, DISPATCH) == expected


def test_the_queue_of_requests_from_outside_is_bounded(app: Celery, broker: redis.Redis) -> None:
    for _ in range(50):
        app.send_task("fetch", args=[["00ce69"]], queue=ADHOC)
    assert len(waiting(broker, ADHOC)) == 20


def test_the_queues_of_fetching_and_archiving_are_not_cut(app: Celery, broker: redis.Redis) -> None:
    for queue in (fetch_queue(0), "rotate.a-node"):
        for _ in range(25):
            app.send_task("fetch", args=[["00ce69"]], queue=queue)
        assert len(waiting(broker, queue)) == 25


def test_dropped_messages_are_logged_but_not_every_second(
    app: Celery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(celery_transport, "_dropped", celery_transport._DroppedMessages())
    with capture_logs() as logs:
        for _ in range(LONGEST_DISPATCH_QUEUE + 5):
            app.send_task("dispatch", queue=DISPATCH)
    [warning] = [line for line in logs if line["event"] == "old_messages_dropped"]
    assert (warning["queue"], warning["messages"], warning["log_level"]) == (DISPATCH, 1, "warning")


async def test_a_dispatcher_that_comes_back_to_a_flood_works_at_once(
    redis_url: str, app: Celery, broker: redis.Redis, tmp_path: Path
) -> None:
    """Twenty thousand expired messages of an earlier version wait, and the first worker that takes
    them is killed meanwhile."""
    app.send_task("dispatch", queue=DISPATCH, expires=30)
    message = bytes(broker.lrange(DISPATCH, 0, -1)[0])  # type: ignore[arg-type]  # no decoding was asked for
    expired = message.decode().replace(
        json.loads(message)["headers"]["expires"], "2026-01-01T00:00:00.000000+00:00"
    )
    for _ in range(20):
        broker.rpush(DISPATCH, *[expired] * 1000)
    environment = settings_of_workers(redis_url, tmp_path)
    with Programs(tmp_path, environment) as programs, redis.Redis.from_url(redis_url) as users:
        programs.celery("worker", *WORKER)
        await until(lambda: broker.llen(DISPATCH) < 20_000)
        programs.kill("worker")
        unacknowledged = broker.hlen("unacked")
        programs.celery("worker", *WORKER)
        programs.celery("beat", *BEAT)
        await until(lambda: bool(users.hexists("eagle:progress", "dispatch")))
        await until(lambda: broker.llen(DISPATCH) <= LONGEST_DISPATCH_QUEUE)
        await until(lambda: broker.hlen("unacked") <= unacknowledged)
        assert unacknowledged <= PREFETCHED


def test_no_message_expires(app: Celery, broker: redis.Redis, settings: Settings) -> None:
    """Expiry compares the sender's clock with the worker's: one that is 25 s ahead would drop every
    message."""
    make_publisher(settings)(["00ce69"])
    app.send_task("rotate", **app.conf.beat_schedule["rotate"]["options"])
    sent = [
        json.loads(message)
        for queue in (ADHOC, DISPATCH)
        for message in broker.lrange(queue, 0, -1)
    ]
    assert [message["headers"]["expires"] for message in sent] == [None, None]
    sources = Path(__file__).parents[3].joinpath("workers").rglob("*.py")
    assert [file.name for file in sources if "expires=" in file.read_text()] == []


async def test_a_node_that_is_away_is_asked_to_archive_once(
    redis_url: str, settings: Settings, app: Celery, broker: redis.Redis, tmp_path: Path
) -> None:
    store = wiring.user_store(settings, passwords=False)
    await store.fleet.register_node("a-node")
    environment = settings_of_workers(redis_url, tmp_path)
    with Programs(tmp_path, environment) as programs:
        programs.celery("worker", *WORKER)
        await until(lambda: "ready." in programs.output("worker"))
        for times in (1, 2, 3):
            app.send_task("rotate", queue=DISPATCH)
            await until(partial(_has_rotated, programs, times))
    assert waiting(broker, "rotate.a-node") == ["rotate"]
    await store.close()


def _has_rotated(programs: Programs, times: int) -> bool:
    return programs.output("worker").count('"event": "rotate"') == times
