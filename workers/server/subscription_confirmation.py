"""Confirms subscriptions in the background: the bridge answers SNS with 200 first, and then asks
Amazon's API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from eagle_logger.settings import Settings
from eagle_logger.sns.topics import Topic
from workers.bridge import aws_clients
from workers.bridge.counters import Counters

PAUSES_S = (1.0, 5.0, 30.0, 120.0, 600.0)
"""Between the attempts. A token is good for days. If all attempts fail, `eagle-logger subscribe`
asks SNS for another."""
_RUN_SUBSCRIBE_AGAIN = "run `eagle-logger subscribe` again"

_log = structlog.get_logger("eagle_logger.bridge")

Confirm = Callable[[Topic, str], str]
"""Confirms a topic's subscription with a token. Blocks. Returns the subscription's ARN. Raises
botocore's errors."""


def confirm_through_boto3(settings: Settings) -> Confirm:
    def confirm(topic: Topic, token: str) -> str:
        client = aws_clients.sns(settings, topic)
        # AuthenticateOnUnsubscribe: only a signed request can undo the subscription. Otherwise the
        # UnsubscribeURL that every message carries would be enough.
        answer = client.confirm_subscription(
            TopicArn=topic.arn, Token=token, AuthenticateOnUnsubscribe="true"
        )
        return answer["SubscriptionArn"]

    return confirm


class Confirmations:
    """The confirmations under way. `pauses`: seconds between the attempts at one."""

    def __init__(
        self, confirm: Confirm, counters: Counters, *, pauses: Sequence[float] = PAUSES_S
    ) -> None:
        self._confirm = confirm
        self._counters = counters
        self._pauses = pauses
        self._under_way: set[asyncio.Task[None]] = set()

    def begin(self, topic: Topic, token: str, message_id: str) -> None:
        """`message_id`: the id of the message that asks for it, for the log."""
        log = _log.bind(message_id=message_id, topic=topic.arn)
        task = asyncio.create_task(self._confirm_with_retries(topic, token, log))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _confirm_with_retries(self, topic: Topic, token: str, log: Any) -> None:
        for pause in (*self._pauses, None):
            try:
                subscription = await asyncio.to_thread(self._confirm, topic, token)
            except aws_clients.AWS_ERRORS as exc:
                reason = aws_clients.reason_of(exc)
                log.warning("subscription_confirmation_failed", reason=reason, again_in=pause)
            else:
                self._counters.add("sns_confirmed")
                log.info("subscription_confirmed", subscription=subscription)
                return
            if pause is not None:
                await asyncio.sleep(pause)
        self._counters.add("sns_not_confirmed")
        log.error("subscription_not_confirmed", detail=_RUN_SUBSCRIBE_AGAIN)

    async def close(self) -> None:
        """Give up the confirmations under way."""
        if self._under_way:
            count = len(self._under_way)
            _log.warning("subscriptions_left_unconfirmed", count=count, detail=_RUN_SUBSCRIBE_AGAIN)
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
