"""Receives what SNS sends to an SQS queue, for a machine without a public address:
`python -m workers.sqs`.

A message is deleted once its fetch is enqueued. A message that cannot be understood stays in the
queue, with a line in the log, and the queue's dead-letter policy decides about it. Any number of
receivers may run.
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

from eagle_logger import wiring
from eagle_logger.broker_queues import ADHOC, Broker
from eagle_logger.disk.private_files import write_for_own_user_only
from eagle_logger.errors import ConfigurationError, EagleError, RedisUnavailable, Transient
from eagle_logger.settings import Settings
from eagle_logger.sns.refusals import MessageRefused
from eagle_logger.sns.sqs_message import name_of, unwrap
from eagle_logger.sns.verifier import SnsVerifier
from eagle_logger.telemetry import configure_logging
from eagle_logger.users.store import Fleet
from workers.bridge import aws_clients
from workers.bridge.adhoc_requests import AdhocRequests, Enqueue
from workers.bridge.counters import Counters
from workers.bridge.request_log import record_request
from workers.bridge.sns_verifier import make_verifier
from workers.process.shutdown import stop_signal

if TYPE_CHECKING:  # the stubs are there for the type checker only
    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.type_defs import MessageTypeDef

Result = TypeVar("Result")
BrokerCheck = Callable[[], Awaitable[None]]
"""Raises RedisUnavailable if the broker does not answer."""

_log = structlog.get_logger("eagle_logger.sqs")

MESSAGES_AT_ONCE = 10
"""As many as SQS gives or deletes in one call."""
FIRST_RETRY_PAUSE_S = 0.5
LONGEST_RETRY_PAUSE_S = 5.0
"""Between two attempts while SQS or Redis is away."""


class UnexpectedAnswer(Transient):
    """What answers in the place of SQS is not SQS: look at the endpoint, or at a proxy on the way
    to it."""


class Receiver:
    """Receives messages, enqueues their fetches, and deletes them.

    While the users' Redis or the broker is away, it receives nothing, because each time that a
    message is received counts towards the dead-letter queue. What an open poll brings at that
    moment counts once; the dead-letter policy should allow for it.
    """

    def __init__(
        self,
        client: SQSClient,
        queue_url: str,
        *,
        verifier: SnsVerifier,
        fleet: Fleet,
        adhoc: AdhocRequests,
        check_broker: BrokerCheck,
        name: str = "sqs",
    ) -> None:
        self._client = client
        self._queue_url = queue_url
        self._verifier = verifier
        self._fleet = fleet
        self._adhoc = adhoc
        self._check_broker = check_broker
        self._name = name
        self.counters = Counters(fleet)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set. An open long poll does not delay that: messages that SQS still hands
        to it show again in the queue."""
        failures = 0
        while not stop.is_set():
            try:
                await self._fleet.note_progress(self._name, {})
                await self._check_broker()
                await self._handle(await self._receive(stop))
                failures = 0
            except (Transient, *aws_clients.AWS_ERRORS) as exc:
                pause = retry_pause(failures)
                failures += 1
                reason = aws_clients.reason_of(exc)
                _log.warning("sqs_retry_later", reason=reason, seconds=round(pause, 1))
                await _sleep_unless_stopped(stop, pause)

    async def warn_without_dead_letters(self) -> None:
        """Warn if the queue has no dead-letter policy: it would give a message that cannot be
        understood again and again."""
        try:
            answer = await asyncio.to_thread(
                self._client.get_queue_attributes,
                QueueUrl=self._queue_url,
                AttributeNames=["RedrivePolicy"],
            )
        except aws_clients.AWS_ERRORS as exc:
            _log.warning("queue_attributes_unreadable", reason=aws_clients.reason_of(exc))
            return
        if "RedrivePolicy" not in answer.get("Attributes", {}):
            detail = (
                "the queue has no dead-letter policy: "
                "a message that cannot be understood will come again and again"
            )
            _log.warning("queue_without_dead_letters", detail=detail)

    async def _receive(self, stop: asyncio.Event) -> Sequence[MessageTypeDef]:
        """The next messages; none if `stop` is set meanwhile. Raises UnexpectedAnswer, botocore's
        errors."""
        polling = _in_daemon_thread(self._poll)
        stopping = asyncio.create_task(stop.wait())
        either: set[asyncio.Future[Any]] = {polling, stopping}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        return await polling if polling.done() else []

    def _poll(self) -> Sequence[MessageTypeDef]:
        began = time.monotonic()
        try:
            answer = self._client.receive_message(
                QueueUrl=self._queue_url,
                MaxNumberOfMessages=MESSAGES_AT_ONCE,
                WaitTimeSeconds=aws_clients.LONG_POLL_S,
            )
        except (AttributeError, TypeError, ValueError) as exc:
            raise UnexpectedAnswer(f"botocore cannot read it: {exc}") from exc
        messages = answer.get("Messages", [])
        # SQS never answers a long poll with nothing at once. If that counted as an answer, this
        # process would ask again without end.
        if not messages and time.monotonic() - began < aws_clients.LONG_POLL_S / 2:
            raise UnexpectedAnswer("it says that there is no message, without having waited")
        return messages

    async def _handle(self, messages: Sequence[MessageTypeDef]) -> None:
        """Enqueue the fetches of these messages, and delete those that are done with. Raises
        RedisUnavailable, botocore's errors."""
        if not messages:
            return
        results = await asyncio.gather(
            *(self._handle_one(message) for message in messages), return_exceptions=True
        )
        done = [
            message for message, result in zip(messages, results, strict=True) if result is True
        ]
        if done:
            await asyncio.to_thread(self._delete, done)
        for message, result in zip(messages, results, strict=True):
            if isinstance(result, RedisUnavailable):
                raise result
            if isinstance(result, BaseException):
                detail = "an error of this program; the message stays in the queue"
                _log.error("sqs_message_failed", **_ids(message), exc_info=result, detail=detail)

    async def _handle_one(self, message: MessageTypeDef) -> bool:
        """Whether the message is done with and may be deleted. Raises RedisUnavailable."""
        ids = _ids(message)
        try:
            received = unwrap(message["Body"], message["MessageId"], self._verifier)
        except MessageRefused as exc:
            # The message stays in the queue, for its dead-letter policy.
            self.counters.add(f"sqs_{exc.reason}")
            _log.error("sqs_message_refused", **ids, reason=str(exc.reason), detail=str(exc))
            return False
        log = _log.bind(**ids)
        request = received.request
        try:
            result = await self._adhoc.fetch_now(request.cloud_ids, once=received.once)
        except RedisUnavailable as exc:
            log.warning("sqs_message_postponed", cloud_ids=request.cloud_ids, reason=str(exc))
            raise
        outcome = record_request(log, self.counters, "sqs", request, result)
        self.counters.add(f"sqs_{outcome}")
        return True

    def _delete(self, messages: Sequence[MessageTypeDef]) -> None:
        """Delete these messages. One that cannot be deleted comes again, is recognised, and is
        deleted then."""
        entries = [
            {"Id": str(i), "ReceiptHandle": message["ReceiptHandle"]}
            for i, message in enumerate(messages)
        ]
        answer = self._client.delete_message_batch(QueueUrl=self._queue_url, Entries=entries)  # type: ignore[arg-type]  # a plain dict is what boto3 takes
        for failed in answer.get("Failed", []):
            _log.warning(
                "sqs_message_not_deleted",
                **_ids(messages[int(failed["Id"])]),
                reason=failed.get("Message", failed["Code"]),
            )


def _ids(message: MessageTypeDef) -> dict[str, str]:
    """The ids that a log line about a message bears: SNS' (if it came from there), so that one id
    leads through topic, bridge and queue; and SQS' own."""
    return {
        "message_id": name_of(message["Body"], message["MessageId"]),
        "sqs_id": message["MessageId"],
    }


def retry_pause(failures: int) -> float:
    """Seconds before the next attempt: doubling, bounded, and never the same for two receivers."""
    longest = min(FIRST_RETRY_PAUSE_S * 2.0 ** min(failures, 10), LONGEST_RETRY_PAUSE_S)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311  (not a secret)


async def receive(settings: Settings, enqueue: Enqueue) -> None:
    """Receive until SIGTERM or SIGINT. Raises ConfigurationError."""
    if settings.sqs_queue_url is None:
        raise ConfigurationError(
            "EAGLE_SQS_QUEUE_URL is not set: there is no queue to receive from"
        )
    stop = stop_signal()
    store = wiring.user_store(settings, passwords=False)
    adhoc = AdhocRequests(store.schedule, enqueue)
    client = aws_clients.sqs(settings, settings.sqs_queue_url)
    broker = Broker(settings.broker_address)

    async def check_broker() -> None:
        await asyncio.to_thread(broker.waiting, [ADHOC])

    receiver = Receiver(
        client,
        settings.sqs_queue_url,
        verifier=make_verifier(settings),
        fleet=store.fleet,
        adhoc=adhoc,
        check_broker=check_broker,
        name=settings.process_name or f"sqs@{socket.gethostname()}",
    )
    flushing = asyncio.create_task(receiver.counters.run())
    _log.info("receiver_started", queue=settings.sqs_queue_url, topics=settings.sns_topic_arns)
    try:
        await receiver.warn_without_dead_letters()
        await receiver.run(stop)
    finally:
        _log.info("receiver_stopping")
        flushing.cancel()
        await receiver.counters.flush()
        adhoc.close()
        broker.close()
        client.close()
        await store.close()


def _in_daemon_thread(function: Callable[[], Result]) -> asyncio.Future[Result]:
    """The function's result, from a thread that does not hold up the end of the process, as a
    thread of asyncio's own pool would."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def settle(result: Result | None, error: Exception | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # without an error there is a result

    def run() -> None:
        result, error = None, None
        try:
            result = function()
        except Exception as exc:  # noqa: BLE001  (handed over, whatever it is)
            error = exc
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="long-poll", daemon=True).start()
    return future


async def _sleep_unless_stopped(stop: asyncio.Event, seconds: float) -> None:
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
