"""A message that came by way of SQS: raw, or wrapped in what SNS puts around it.

Amazon has authenticated whoever may write to the queue, so signature and age are not looked at; the
topic is.
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
class SqsEnvelope:
    """Whom a message asks to fetch. `once` names it: a wrapped one by its SNS MessageId, so that a
    copy of it that came over HTTP is the same message."""

    asked: FetchRequest
    once: str


def unwrap(body: str, message_id: str, gate: SnsVerifier) -> SqsEnvelope:
    """`message_id` is SQS' own. Raises MessageRefused."""
    fields = _wrapping(body)
    if fields is None:
        return SqsEnvelope(cloud_ids_in(body), f"sqs:{message_id}")
    if fields["Type"] != MessageType.NOTIFICATION:
        raise MessageRefused(Reason.UNKNOWN_TYPE, "only notifications come by way of a queue")
    gate.allowed(_text(fields, "TopicArn"))
    return SqsEnvelope(
        cloud_ids_in(_text(fields, "Message")), _text(fields, "MessageId", MESSAGE_ID)
    )


def name_of(body: str, message_id: str) -> str:
    """What a message is called in log lines, whether it can be understood or not; see
    `SqsEnvelope.once`."""
    sns_id = (_wrapping(body) or {}).get("MessageId")
    return (
        sns_id if isinstance(sns_id, str) and MESSAGE_ID.fullmatch(sns_id) else f"sqs:{message_id}"
    )


def _wrapping(body: str) -> Mapping[str, Any] | None:
    """The members of SNS' envelope; None if there is none."""
    try:
        found = bounded_json.loads(body)
    except MessageRefused:
        return None
    return found if isinstance(found, dict) and {"Type", "TopicArn"} <= found.keys() else None


def _text(fields: Mapping[str, Any], name: str, pattern: re.Pattern[str] | None = None) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or (pattern is not None and not pattern.fullmatch(value)):
        raise MessageRefused(
            Reason.MALFORMED, f"{name} is missing, or not of the form SNS gives it"
        )
    return value
