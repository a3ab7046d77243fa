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
    """Fails `failures` times, then confirms."""

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


async def test_a_confirmation_that_fails_is_tried_again() -> None:
    store, amazon = memory_store(), Amazon(failures=2)
    counters = Counters(store.fleet)
    confirmations = Confirmations(amazon, counters, pauses=(0.0, 0.0, 0.0))
    confirmations.begin(TOPIC, "t0k3n", "message-1")
    await until(lambda: not confirmations._under_way)
    assert amazon.asked == [(TOPIC.arn, "t0k3n")] * 3
    assert await counted(store, counters) == {"sns_confirmed": 1}


async def test_after_the_last_attempt_the_log_says_what_to_do() -> None:
    store, amazon = memory_store(), Amazon(failures=9)
    counters = Counters(store.fleet)
    confirmations = Confirmations(amazon, counters, pauses=(0.0,))
    with capture_logs() as logged:
        confirmations.begin(TOPIC, "t0k3n", "message-1")
        await until(lambda: not confirmations._under_way)
    assert logged[-1]["event"] == "subscription_not_confirmed"
    assert "eagle-logger subscribe" in logged[-1]["detail"]
    assert {(line["message_id"], line["topic"]) for line in logged} == {("message-1", TOPIC.arn)}
    assert "t0k3n" not in str(logged)
    assert await counted(store, counters) == {"sns_not_confirmed": 1}


async def test_confirmations_under_way_end_with_the_server() -> None:
    amazon = Amazon(failures=9)
    confirmations = Confirmations(amazon, Counters(memory_store().fleet), pauses=(3600.0,))
    confirmations.begin(TOPIC, "t0k3n", "message-1")
    await until(lambda: bool(amazon.asked))
    with capture_logs() as logged:
        await confirmations.close()
    assert len(amazon.asked) == 1
    assert logged[0]["event"] == "subscriptions_left_unconfirmed"
    assert not confirmations._under_way
