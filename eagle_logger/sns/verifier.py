"""The checks that an SNS message passes before anything is done because of it, in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from eagle_logger.sns import certificates
from eagle_logger.sns.certificate_cache import CertificateCache
from eagle_logger.sns.message import SnsMessage
from eagle_logger.sns.refusals import MessageRefused, Reason
from eagle_logger.sns.signature import decode_signature, verify_signature
from eagle_logger.sns.topics import Topic

MAX_AGE_S = 3600.0
"""SNS delivers a message again for at most an hour."""
MAX_AHEAD_S = 900.0
"""How far a sender's clock may be ahead of this machine's: what Amazon itself allows between two
clocks. A message's id is remembered for longer than MAX_AGE_S and this together, so no message can
be replayed."""


class SnsVerifier:
    """Accepts a message if SNS signed it within the last hour for one of the allowed topics.

    Without any allowed topic it accepts nothing.
    """

    def __init__(
        self,
        topic_arns: Iterable[str],
        certificate_cache: CertificateCache,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`now` is real time in Unix seconds. Raises ValueError for what is not a topic's ARN."""
        self._topics = {arn: Topic.parse(arn) for arn in topic_arns}
        self._certificates = certificate_cache
        self._now = now

    async def verify(self, message: SnsMessage) -> None:
        """Returns if the message is genuine.

        Raises MessageRefused, or CertificateUnavailable if that cannot be decided now. No request
        is sent before every check that needs none has passed.
        """
        topic = self.allowed_topic(message.topic_arn)
        check_age(message.moment, self._now())
        certificates.check_url(message.certificate_url, topic)
        decode_signature(message)
        certificate = await self._certificates.get(message.certificate_url)
        certificate.check(topic, self._now())
        verify_signature(message, certificate.key)

    def allowed_topic(self, topic_arn: str) -> Topic:
        """Raises MessageRefused if the topic is not among the allowed ones."""
        topic = self._topics.get(topic_arn)
        if topic is None:
            raise MessageRefused(
                Reason.TOPIC_NOT_ALLOWED, "EAGLE_SNS_TOPIC_ARNS does not name this topic"
            )
        return topic


def check_age(moment: float, now: float) -> None:
    """Raises MessageRefused unless the moment (Unix seconds) lies within the last hour, or at most
    MAX_AHEAD_S ahead."""
    if now - moment > MAX_AGE_S:
        raise MessageRefused(Reason.TOO_OLD, "the message is older than an hour")
    if moment - now > MAX_AHEAD_S:
        raise MessageRefused(
            Reason.FROM_THE_FUTURE, "the message is from the future; is this machine's clock right?"
        )
