"""A message that came through SQS: raw, or inside the envelope that SNS puts around it.

Amazon has authenticated everyone who may write to the queue. So the signature and the age of an
envelope are not checked; its topic is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eagle_logger.sns import bounded_json
from eagle_logger.sns.fetch_request import FetchRequest, cloud_ids_in
from eagle_logger.sns.message import MESSAGE_ID, MessageType
from eagle_logger.sns.refusals import MessageRefused, Reason
from eagle_logger.sns.verifier import SnsVerifier


@dataclass(frozen=True, slots=True)
class SqsMessage:
    """`once` is the key under which a repeated message is recognised. For an envelope it is the SNS
    MessageId, so that a copy that came over HTTP counts as the same message."""

    request: FetchRequest
    once: str


def unwrap(body: str, message_id: str, verifier: SnsVerifier) -> SqsMessage:
    """`message_id` is the id that SQS gave the message. Raises MessageRefused."""
    envelope = _envelope(body)
    if envelope is None:
        return SqsMessage(cloud_ids_in(body), f"sqs:{message_id}")
    if envelope["Type"] != MessageType.NOTIFICATION:
        raise MessageRefused(Reason.UNKNOWN_TYPE, "only notifications come through a queue")
    verifier.allowed_topic(_text(envelope, "TopicArn"))
    request = cloud_ids_in(_text(envelope, "Message"))
    return SqsMessage(request, _text(envelope, "MessageId", MESSAGE_ID))


def name_of(body: str, message_id: str) -> str:
    """The name of a message in log lines, even of one that is refused; as `SqsMessage.once`."""
    sns_id = (_envelope(body) or {}).get("MessageId")
    is_usable = isinstance(sns_id, str) and MESSAGE_ID.fullmatch(sns_id)
    return str(sns_id) if is_usable else f"sqs:{message_id}"


def _envelope(body: str) -> Mapping[str, Any] | None:
    """The members of the envelope of SNS; None if there is none."""
    try:
        document = bounded_json.loads(body)
    except MessageRefused:
        return None
    is_envelope = isinstance(document, dict) and {"Type", "TopicArn"} <= document.keys()
    return document if is_envelope else None


def _text(envelope: Mapping[str, Any], name: str, pattern: re.Pattern[str] | None = None) -> str:
    value = envelope.get(name)
    if not isinstance(value, str) or (pattern is not None and not pattern.fullmatch(value)):
        raise MessageRefused(
            Reason.MALFORMED, f"{name} is missing, or not of the form SNS gives it"
        )
    return value
