"""The checks an SNS message passes before anything is done because of it, in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from eagle_logger.sns import certificates, signature
from eagle_logger.sns.certificate_cache import CertificateCache
from eagle_logger.sns.message import SnsMessage
from eagle_logger.sns.refusals import MessageRefused, Reason
from eagle_logger.sns.topics import Topic

MAX_AGE = 3600.0
"""Seconds: SNS delivers again for at most an hour."""
MAX_AHEAD = 900.0
"""Seconds a sender's clock may be ahead of ours: what Amazon itself allows between two clocks. That
a message is remembered for longer than both together is what makes a replay impossible."""


class SnsVerifier:
    """Lets through what SNS signed, lately, for a topic on the allow list. An empty list lets
    nothing through."""

    def __init__(
        self,
        topic_arns: Iterable[str],
        keyring: CertificateCache,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`now` is real time in Unix seconds. Raises ValueError if an ARN is none."""
        self._topics = {arn: Topic.parse(arn) for arn in topic_arns}
        self._keyring = keyring
        self._now = now

    async def admit(self, found: SnsMessage) -> None:
        """Returns if all of it is genuine. Raises MessageRefused, or CertificateUnavailable when it
        cannot be told just now. No request goes out before everything that can be checked without
        one has been."""
        topic = self.allowed(found.topic_arn)
        check_age(found.moment, self._now())
        certificates.check_url(found.certificate_url, topic)
        signature.decoded(found)
        certificate = await self._keyring.get(found.certificate_url)
        certificate.check(topic, self._now())
        signature.verify(found, certificate.key)

    def allowed(self, topic_arn: str) -> Topic:
        """Raises MessageRefused if it is not on the allow list."""
        topic = self._topics.get(topic_arn)
        if topic is None:
            raise MessageRefused(
                Reason.TOPIC_NOT_ALLOWED, "EAGLE_SNS_TOPIC_ARNS does not name this topic"
            )
        return topic


def check_age(moment: float, now: float) -> None:
    """Raises MessageRefused unless the moment (Unix seconds) lies within the last hour, or a little
    ahead."""
    if now - moment > MAX_AGE:
        raise MessageRefused(Reason.TOO_OLD, "the message is older than an hour")
    if moment - now > MAX_AHEAD:
        raise MessageRefused(
            Reason.FROM_THE_FUTURE, "the message is from the future; is this machine's clock right?"
        )
