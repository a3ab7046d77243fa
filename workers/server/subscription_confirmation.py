"""Confirms subscriptions, behind the answer: SNS is told 200 first, Amazon's API is asked then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from eagle_logger.settings import Settings
from eagle_logger.sns.topics import Topic
from workers.bridge import aws_clients
from workers.bridge.counters import Counters

PAUSES = (1.0, 5.0, 30.0, 120.0, 600.0)
"""Seconds between the attempts. A token is good for days; should all fail, `eagle-logger subscribe`
asks SNS for another."""

_log = structlog.get_logger("eagle_logger.bridge")

Confirm = Callable[[Topic, str], str]
"""Confirms with a topic and a token, blocking; the subscription's ARN. Raises botocore's errors."""


def through_boto3(settings: Settings) -> Confirm:
    def confirm(topic: Topic, token: str) -> str:
        """Only who may sign requests can undo it: the UnsubscribeURL that every message carries no
        longer does."""
        client = aws_clients.sns(settings, topic)
        answer = client.confirm_subscription(
            TopicArn=topic.arn, Token=token, AuthenticateOnUnsubscribe="true"
        )
        return answer["SubscriptionArn"]

    return confirm


class Confirmations:
    def __init__(
        self, confirm: Confirm, counters: Counters, *, pauses: Sequence[float] = PAUSES
    ) -> None:
        self._confirm = confirm
        self._counters = counters
        self._pauses = pauses
        self._under_way: set[asyncio.Task[None]] = set()

    def begin(self, topic: Topic, token: str, message_id: str) -> None:
        """`message_id`: of the message that asks for it."""
        log = _log.bind(message_id=message_id, topic=topic.arn)
        task = asyncio.create_task(self._until_confirmed(topic, token, log))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _until_confirmed(self, topic: Topic, token: str, log: Any) -> None:
        for pause in (*self._pauses, None):
            try:
                subscription = await asyncio.to_thread(self._confirm, topic, token)
            except (BotoCoreError, ClientError) as exc:
                log.warning("subscription not confirmed yet", reason=str(exc), again_in=pause)
            else:
                self._counters.add("sns_confirmed")
                log.info("subscription confirmed", subscription=subscription)
                return
            if pause is not None:
                await asyncio.sleep(pause)
        self._counters.add("sns_not_confirmed")
        log.error("subscription not confirmed: run `eagle-logger subscribe` again")

    async def close(self) -> None:
        """Give up what is under way."""
        if self._under_way:
            _log.warning(
                "subscriptions are left unconfirmed: run `eagle-logger subscribe` again",
                count=len(self._under_way),
            )
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
