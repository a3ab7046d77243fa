from __future__ import annotations

from botocore.exceptions import EndpointConnectionError
from structlog.testing import capture_logs

from eagle_logger.sns.topics import Topic
from eagle_logger.users.memory.store import memory_store
from eagle_logger.users.store import UserStore
from tests.support.polling import until
from workers.bridge.counters import Counters
from workers.server.subscription_confirmation import Confirmations

TOPIC = Topic.parse("arn:aws:sns:us-east-1:123456789012:fetch")


class Amazon:
    """Fails as often as it is told to."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.asked: list[tuple[str, str]] = []

    def __call__(self, topic: Topic, token: str) -> str:
        self.asked.append((topic.arn, token))
        if len(self.asked) <= self.failures:
            raise EndpointConnectionError(endpoint_url="https://sns.us-east-1.amazonaws.com")
        return f"{topic.arn}:subscription"


async def counted(store: UserStore, counters: Counters) -> dict[str, int]:
    await counters.flush()
    return await store.fleet.tally()


async def test_a_failure_is_tried_again() -> None:
    store, amazon = memory_store(), Amazon(failures=2)
    counters = Counters(store.fleet)
    confirmations = Confirmations(amazon, counters, pauses=(0.0, 0.0, 0.0))
    confirmations.begin(TOPIC, "t0k3n", "message-1")
    await until(lambda: not confirmations._under_way)
    assert amazon.asked == [(TOPIC.arn, "t0k3n")] * 3
    assert await counted(store, counters) == {"sns_confirmed": 1}


async def test_after_the_last_attempt_it_says_what_to_do() -> None:
    store, amazon = memory_store(), Amazon(failures=9)
    counters = Counters(store.fleet)
    confirmations = Confirmations(amazon, counters, pauses=(0.0,))
    with capture_logs() as logged:
        confirmations.begin(TOPIC, "t0k3n", "message-1")
        await until(lambda: not confirmations._under_way)
    assert "eagle-logger subscribe" in logged[-1]["event"]
    assert {(line["message_id"], line["topic"]) for line in logged} == {("message-1", TOPIC.arn)}
    assert "t0k3n" not in str(logged)
    assert await counted(store, counters) == {"sns_not_confirmed": 1}


async def test_what_is_under_way_ends_with_the_server() -> None:
    amazon = Amazon(failures=9)
    confirmations = Confirmations(amazon, Counters(memory_store().fleet), pauses=(3600.0,))
    confirmations.begin(TOPIC, "t0k3n", "message-1")
    await until(lambda: bool(amazon.asked))
    with capture_logs() as logged:
        await confirmations.close()
    assert len(amazon.asked) == 1
    assert "left unconfirmed" in logged[0]["event"]
    assert not confirmations._under_way
