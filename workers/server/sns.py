"""`POST /sns`: what SNS delivers."""

from __future__ import annotations

from eagle_logger.errors import RedisUnavailable
from eagle_logger.sns.fetch_request import cloud_ids_in
from eagle_logger.sns.message import (
    MAX_BYTES,
    MESSAGE_ID,
    MessageType,
    SnsMessage,
    parse_message,
)
from eagle_logger.sns.refusals import CertificateUnavailable, MessageRefused, Reason
from eagle_logger.users.store import RequestResult
from workers.bridge.request_log import record_request
from workers.server.context import Bridge
from workers.server.handlers import Handler
from workers.server.models import SnsAnswer
from workers.server.problems import HttpProblem, try_again


class SnsHandler(Handler):
    """Answers 200 once the fetch is enqueued (or was before), 4xx if the message is wrong for good,
    503 if SNS should try again."""

    max_body_bytes = MAX_BYTES

    def initialize(self, bridge: Bridge) -> None:
        super().initialize(bridge)
        self._log_with(self.request.headers.get("x-amz-sns-message-id", ""))

    def _log_with(self, message_id: str) -> None:
        """Put the message's id into every further log line of this request, even if a stranger made
        it up."""
        if MESSAGE_ID.fullmatch(message_id):
            self.log = self.log.bind(message_id=message_id)

    async def post(self) -> None:
        try:
            message = self._parse()
            self._log_with(message.message_id)
            await self.bridge.verifier.verify(message)
            outcome = await self._act_on(message)
        except (MessageRefused, CertificateUnavailable) as exc:
            raise self._log_refusal(exc) from None
        self.bridge.counters.add(f"sns_{outcome}")
        self.answer(SnsAnswer(outcome=outcome))

    def _parse(self) -> SnsMessage:
        headers = self.request.headers
        return parse_message(
            self.read_body(),
            header_type=headers.get("x-amz-sns-message-type"),
            raw_delivery=headers.get("x-amz-sns-rawdelivery", "").lower() == "true",
        )

    async def _act_on(self, message: SnsMessage) -> str:
        match message.type:
            case MessageType.NOTIFICATION:
                return await self._enqueue_fetches(message)
            case MessageType.SUBSCRIPTION_CONFIRMATION:
                return await self._start_confirmation(message)
            case MessageType.UNSUBSCRIBE_CONFIRMATION:
                self.log.warning(
                    "sns_endpoint_unsubscribed",
                    topic=message.topic_arn,
                    detail="`eagle-logger subscribe` subscribes it again",
                )
                return "unsubscribed"

    async def _enqueue_fetches(self, message: SnsMessage) -> str:
        request = cloud_ids_in(message.message)
        try:
            result = await self.bridge.adhoc.fetch_now(request.cloud_ids, once=message.message_id)
        except RedisUnavailable:
            # The line that reports the 503 shows which homes wait.
            self.log = self.log.bind(cloud_ids=request.cloud_ids)
            raise
        return record_request(self.log, self.bridge.counters, "sns", request, result)

    async def _start_confirmation(self, message: SnsMessage) -> str:
        """Never follow the message's SubscribeURL: confirm through Amazon's API, with this system's
        credentials, and only for a topic that the settings allow."""
        result: RequestResult = await self.bridge.schedule.request((), once=message.message_id)
        if result.seen_before:
            return "repeated"
        topic = self.bridge.verifier.allowed_topic(message.topic_arn)
        self.bridge.confirmations.begin(topic, message.token or "", message.message_id)
        return "confirming"

    def too_large(self) -> HttpProblem:
        return self._log_refusal(
            MessageRefused(Reason.TOO_LARGE, f"a message is at most {self.max_body_bytes} bytes")
        )

    def _log_refusal(self, refusal: MessageRefused | CertificateUnavailable) -> HttpProblem:
        """Count and log a refusal. Returns the answer for it."""
        reason = refusal.reason
        self.bridge.counters.add(f"sns_{reason}")
        self.log.warning(
            "sns_message_refused",
            reason=str(reason),
            detail=str(refusal),
            peer=self.request.remote_ip,
        )
        if reason.status == 503:
            return try_again(reason, str(refusal))
        return HttpProblem(reason.status, reason, str(refusal))
