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
    """Answers 200 once the fetch is enqueued (or was before), 4xx for what will never be right, 503
    if SNS should try again."""

    max_body = MAX_BYTES

    def initialize(self, bridge: Bridge) -> None:
        super().initialize(bridge)
        self._name(self.request.headers.get("x-amz-sns-message-id", ""))

    def _name(self, message_id: str) -> None:
        """Whatever is logged of this request from now on bears the message's id, also if somebody
        else made it up."""
        if MESSAGE_ID.fullmatch(message_id):
            self.log = self.log.bind(message_id=message_id)

    async def post(self) -> None:
        try:
            message = self._read()
            self._name(message.message_id)
            await self.bridge.verifier.verify(message)
            outcome = await self._obey(message)
        except (MessageRefused, CertificateUnavailable) as exc:
            raise self._refused(exc) from None
        self.bridge.counters.add(f"sns_{outcome}")
        self.answer(SnsAnswer(outcome=outcome))

    def _read(self) -> SnsMessage:
        headers = self.request.headers
        return parse_message(
            self.whole_body(),
            header_type=headers.get("x-amz-sns-message-type"),
            raw_delivery=headers.get("x-amz-sns-rawdelivery", "").lower() == "true",
        )

    async def _obey(self, message: SnsMessage) -> str:
        match message.type:
            case MessageType.NOTIFICATION:
                return await self._fetch(message)
            case MessageType.SUBSCRIPTION_CONFIRMATION:
                return await self._confirm(message)
            case MessageType.UNSUBSCRIBE_CONFIRMATION:
                self.log.warning(
                    "somebody unsubscribed this endpoint; `eagle-logger subscribe` undoes it",
                    topic=message.topic_arn,
                )
                return "unsubscribed"

    async def _fetch(self, message: SnsMessage) -> str:
        asked = cloud_ids_in(message.message)
        try:
            requested = await self.bridge.adhoc.fetch_now(asked.cloud_ids, once=message.message_id)
        except RedisUnavailable:
            self.log = self.log.bind(cloud_ids=asked.cloud_ids)  # for the line that says so
            raise
        return record_request(self.log, self.bridge.counters, "sns", asked, requested)

    async def _confirm(self, message: SnsMessage) -> str:
        """Never through the SubscribeURL: the API is asked, by our own credentials, about a topic
        on our own list."""
        requested: RequestResult = await self.bridge.schedule.request((), once=message.message_id)
        if requested.seen_before:
            return "repeated"
        topic = self.bridge.verifier.allowed_topic(message.topic_arn)
        self.bridge.confirmations.begin(topic, message.token or "", message.message_id)
        return "confirming"

    def too_large(self) -> HttpProblem:
        return self._refused(
            MessageRefused(Reason.TOO_LARGE, f"a message is at most {self.max_body} bytes")
        )

    def _refused(self, refusal: MessageRefused | CertificateUnavailable) -> HttpProblem:
        reason = refusal.reason
        self.bridge.counters.add(f"sns_{reason}")
        self.log.warning(
            "sns message refused",
            reason=str(reason),
            detail=str(refusal),
            peer=self.request.remote_ip,
        )
        if reason.status == 503:
            return try_again(reason, str(refusal))
        return HttpProblem(reason.status, reason, str(refusal))
