"""SNS through SQS, for who has no public address: `python -m workers.sqs`.

A message is deleted once its fetch is enqueued. One that cannot be understood is left where it is,
and said so: the queue's dead-letter policy decides. Any number of copies may run.
"""

from __future__ import annotations

import asyncio
import random
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
import uvloop
from botocore.exceptions import BotoCoreError, ClientError

from eagle_logger import wiring
from eagle_logger.broker_queues import ADHOC, Broker
from eagle_logger.disk.private_files import write_for_own_user_only
from eagle_logger.errors import ConfigurationError, EagleError, RedisUnavailable, Transient
from eagle_logger.settings import Settings
from eagle_logger.sns.refusals import MessageRefused
from eagle_logger.sns.sqs_message import name_of, unwrap
from eagle_logger.sns.verifier import SnsVerifier
from eagle_logger.telemetry import configure_logging
from eagle_logger.users.store import UserStore
from workers.bridge import aws_clients
from workers.bridge.adhoc_requests import AdhocRequests, Enqueue
from workers.bridge.counters import Counters
from workers.bridge.request_log import tell
from workers.bridge.sns_verifier import make_gate
from workers.process.shutdown import stop_signal

if TYPE_CHECKING:  # the stubs are there for the type checker only
    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.type_defs import MessageTypeDef

Result = TypeVar("Result")
BrokerAnswers = Callable[[], Awaitable[None]]
"""Raises RedisUnavailable if the broker does not."""

_log = structlog.get_logger("eagle_logger.sqs")

BATCH = 10
"""As many as SQS gives or deletes at once."""
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 5.0
"""Seconds between two attempts while SQS or Redis is away."""


class StrangeAnswer(Transient):
    """Whatever answers in the place of SQS is not SQS; the endpoint, or a proxy on the way to it,
    wants looking at."""


class Receiver:
    """Receives, enqueues, deletes. While the users' Redis or the broker is away nothing is
    received: each time counts towards the dead-letter queue. (What an open poll brings at that
    moment counts once; the dead-letter policy should allow for it.)"""

    def __init__(
        self,
        client: SQSClient,
        queue_url: str,
        *,
        gate: SnsVerifier,
        users: UserStore,
        intake: AdhocRequests,
        broker_answers: BrokerAnswers,
        name: str = "sqs",
    ) -> None:
        self._client = client
        self._queue_url = queue_url
        self._gate = gate
        self._users = users
        self._intake = intake
        self._broker_answers = broker_answers
        self._name = name
        self.counters = Counters(users)

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop. An open long poll does not delay that: what SQS still hands to it
        shows again in the queue."""
        failures = 0
        while not stop.is_set():
            try:
                await self._users.note_progress(self._name, {})
                await self._broker_answers()
                await self._handle(await self._received(stop))
                failures = 0
            except (Transient, BotoCoreError, ClientError) as exc:
                pause = pause_after(failures)
                failures += 1
                _log.warning("trying again later", reason=str(exc), seconds=round(pause, 1))
                await _wait(stop, pause)

    async def warn_without_dead_letters(self) -> None:
        """A queue without a dead-letter policy gives what nobody understands again and again."""
        try:
            found = await asyncio.to_thread(
                self._client.get_queue_attributes,
                QueueUrl=self._queue_url,
                AttributeNames=["RedrivePolicy"],
            )
        except (BotoCoreError, ClientError) as exc:
            _log.warning("the queue's attributes cannot be read", reason=str(exc))
        else:
            if "RedrivePolicy" not in found.get("Attributes", {}):
                _log.warning(
                    "the queue has no dead-letter policy: what cannot be understood will come again and again"
                )

    async def _received(self, stop: asyncio.Event) -> Sequence[MessageTypeDef]:
        """The next messages; none if it is time to stop. Raises StrangeAnswer, botocore's errors."""
        polling = _in_daemon_thread(self._poll)
        stopping = asyncio.create_task(stop.wait())
        either: set[asyncio.Future[Any]] = {polling, stopping}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        return await polling if polling.done() else []

    def _poll(self) -> Sequence[MessageTypeDef]:
        """Nothing, said at once, is not what SQS says to a long poll; taken for an answer it would
        have us ask without end."""
        began = time.monotonic()
        try:
            answer = self._client.receive_message(
                QueueUrl=self._queue_url,
                MaxNumberOfMessages=BATCH,
                WaitTimeSeconds=aws_clients.LONG_POLL,
            )
        except (AttributeError, TypeError, ValueError) as exc:
            raise StrangeAnswer(f"botocore cannot read it: {exc}") from exc
        messages = answer.get("Messages", [])
        if not messages and time.monotonic() - began < aws_clients.LONG_POLL / 2:
            raise StrangeAnswer("it says that there is no message, without having waited for one")
        return messages

    async def _handle(self, messages: Sequence[MessageTypeDef]) -> None:
        if not messages:
            return
        outcomes = await asyncio.gather(
            *(self._one(message) for message in messages), return_exceptions=True
        )
        done = [
            message for message, outcome in zip(messages, outcomes, strict=True) if outcome is True
        ]
        if done:
            await asyncio.to_thread(self._delete, done)
        for message, outcome in zip(messages, outcomes, strict=True):
            if isinstance(outcome, RedisUnavailable):
                raise outcome
            if isinstance(outcome, BaseException):
                _log.error(
                    "an error of ours; the message is left", **_names(message), exc_info=outcome
                )

    async def _one(self, message: MessageTypeDef) -> bool:
        """Whether it is done with. Raises RedisUnavailable."""
        try:
            queued = unwrap(message["Body"], message["MessageId"], self._gate)
        except MessageRefused as exc:
            self.counters.add(f"sqs_{exc.reason}")
            _log.error(
                "sqs message left to the dead-letter policy",
                **_names(message),
                reason=str(exc.reason),
                detail=str(exc),
            )
            return False
        log = _log.bind(**_names(message))
        try:
            requested = await self._intake.take(queued.request.cloud_ids, once=queued.once)
        except RedisUnavailable as exc:
            log.warning(
                "sqs message left for later", cloud_ids=queued.request.cloud_ids, reason=str(exc)
            )
            raise
        outcome = tell(log, self.counters, "sqs", queued.request, requested)
        self.counters.add(f"sqs_{outcome}")
        return True

    def _delete(self, messages: Sequence[MessageTypeDef]) -> None:
        """What cannot be deleted comes again, is recognised, and is deleted then."""
        entries = [
            {"Id": str(i), "ReceiptHandle": message["ReceiptHandle"]}
            for i, message in enumerate(messages)
        ]
        answer = self._client.delete_message_batch(QueueUrl=self._queue_url, Entries=entries)  # type: ignore[arg-type]  # a plain dict is what boto3 takes
        for failed in answer.get("Failed", []):
            names = _names(messages[int(failed["Id"])])
            _log.warning(
                "sqs message not deleted", **names, reason=failed.get("Message", failed["Code"])
            )


def _names(message: MessageTypeDef) -> dict[str, str]:
    """What a log line about a message bears: SNS' id, where it came from there, so that one id
    leads through topic, bridge and queue; and SQS' own."""
    return {
        "message_id": name_of(message["Body"], message["MessageId"]),
        "sqs_id": message["MessageId"],
    }


def pause_after(failures: int) -> float:
    """Seconds before the next attempt: doubling, bounded, and never the same for two copies."""
    longest = min(FIRST_PAUSE * 2.0 ** min(failures, 10), LONGEST_PAUSE)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311  (not a secret)


async def receive(settings: Settings, enqueue: Enqueue) -> None:
    """Until SIGTERM or SIGINT. Raises ConfigurationError."""
    if settings.sqs_queue_url is None:
        raise ConfigurationError(
            "EAGLE_SQS_QUEUE_URL is not set: there is no queue to receive from"
        )
    stop = stop_signal()
    users = wiring.user_store(settings, passwords=False)
    intake = AdhocRequests(users, enqueue)
    client = aws_clients.sqs(settings, settings.sqs_queue_url)
    name = settings.process_name or f"sqs@{socket.gethostname()}"
    gate, broker = make_gate(settings), Broker(settings.broker_address)

    async def broker_answers() -> None:
        await asyncio.to_thread(broker.waiting, [ADHOC])

    receiver = Receiver(
        client,
        settings.sqs_queue_url,
        gate=gate,
        users=users,
        intake=intake,
        broker_answers=broker_answers,
        name=name,
    )
    counting = asyncio.create_task(receiver.counters.run())
    _log.info("receiving", queue=settings.sqs_queue_url, topics=settings.sns_topic_arns)
    try:
        await receiver.warn_without_dead_letters()
        await receiver.run(stop)
    finally:
        _log.info("stopping")
        counting.cancel()
        await receiver.counters.flush()
        intake.close()
        broker.close()
        client.close()
        await users.close()


def _in_daemon_thread(function: Callable[[], Result]) -> asyncio.Future[Result]:
    """Its result, from a thread that nobody waits for at the end of the process; asyncio's own pool
    would."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def settle(result: Result | None, wrong: Exception | None) -> None:
        if future.cancelled():
            return
        if wrong is not None:
            future.set_exception(wrong)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # there is a result where nothing went wrong

    def run() -> None:
        result, wrong = None, None
        try:
            result = function()
        except Exception as exc:  # noqa: BLE001  (handed over, whatever it is)
            wrong = exc
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, wrong)

    threading.Thread(target=run, name="long-poll", daemon=True).start()
    return future


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    """That long, or until it is time to stop."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


def main() -> int:
    write_for_own_user_only()
    from workers.app import app  # noqa: PLC0415  (reads the settings, and ends the process if they make no sense)
    from workers.tasks import enqueue_adhoc  # noqa: PLC0415

    settings = app.eagle_settings
    configure_logging(settings.log_format)
    try:
        uvloop.run(receive(settings, enqueue_adhoc))
    except EagleError as exc:
        print(exc, file=sys.stderr)  # noqa: T201  (one clear line instead of a traceback)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
