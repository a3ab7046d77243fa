"""What SNS delivers: a JSON object of strings around the message that was published."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from eagle_logger.sns import bounded_json
from eagle_logger.sns.refusals import MessageRefused, Reason

MAX_BYTES = 256 * 1024
"""Amazon's limit for a message. One that asks to fetch 1000 users has a twentieth of it."""

MESSAGE_ID = re.compile(r"[0-9A-Za-z-]{1,100}")
_ONE_LINE = re.compile(r"[^\r\n]*")
_ONE_WORD = re.compile(r"[!-~]+")
_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z")


class MessageType(StrEnum):
    NOTIFICATION = "Notification"
    SUBSCRIPTION_CONFIRMATION = "SubscriptionConfirmation"
    UNSUBSCRIBE_CONFIRMATION = "UnsubscribeConfirmation"


@dataclass(frozen=True, slots=True)
class SnsMessage:
    """A delivered message. Nothing in it may be believed before its signature has been checked."""

    type: MessageType
    message_id: str
    topic_arn: str
    message: str
    timestamp: str
    """As it was written, because the signature covers it so; `moment` is the same in Unix
    seconds."""
    moment: float
    signature_version: str
    signature: str
    certificate_url: str
    subject: str | None = None
    token: str | None = None
    subscribe_url: str | None = None


def parse_message(
    body: bytes, *, header_type: str | None = None, raw_delivery: bool = False
) -> SnsMessage:
    """The message in a request's body.

    `header_type` and `raw_delivery` are the request's headers `x-amz-sns-message-type` and
    `x-amz-sns-rawdelivery`. Raises MessageRefused.

    Every field but the message must be one line. What is signed consists of lines, so a field with
    a line break could be taken for two fields.
    """
    if len(body) > MAX_BYTES:
        raise MessageRefused(Reason.TOO_LARGE, f"a message is at most {MAX_BYTES} bytes")
    if raw_delivery:
        raise MessageRefused(
            Reason.RAW_DELIVERY,
            "raw delivery carries no signature; turn it off for this subscription",
        )
    fields = _fields(body)
    kind = _message_type(fields, header_type)
    is_notification = kind is MessageType.NOTIFICATION
    has_subject = is_notification and fields.get("Subject") is not None
    timestamp = _text(fields, "Timestamp", _TIMESTAMP)
    return SnsMessage(
        type=kind,
        message_id=_text(fields, "MessageId", MESSAGE_ID),
        topic_arn=_text(fields, "TopicArn", _ONE_WORD),
        message=_text(fields, "Message"),
        timestamp=timestamp,
        moment=_unix_seconds(timestamp),
        signature_version=_text(fields, "SignatureVersion", _ONE_WORD),
        signature=_text(fields, "Signature", _ONE_WORD),
        certificate_url=_text(fields, "SigningCertURL"),
        subject=_text(fields, "Subject", _ONE_LINE) if has_subject else None,
        token=None if is_notification else _text(fields, "Token", _ONE_WORD),
        subscribe_url=None if is_notification else _text(fields, "SubscribeURL", _ONE_WORD),
    )


def _fields(body: bytes) -> Mapping[str, Any]:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise MessageRefused(Reason.NOT_JSON, "this is not JSON: the bytes are not UTF-8") from None
    document = bounded_json.loads(text)
    if not isinstance(document, dict):
        raise MessageRefused(Reason.MALFORMED, "a message from SNS is a JSON object")
    return document


def _message_type(fields: Mapping[str, Any], header_type: str | None) -> MessageType:
    try:
        kind = MessageType(str(fields.get("Type")))
    except ValueError:
        raise MessageRefused(Reason.UNKNOWN_TYPE, "SNS sends no messages of this Type") from None
    if header_type is not None and header_type != kind:
        raise MessageRefused(Reason.TYPE_MISMATCH, "the header names another type than the body")
    return kind


def _text(fields: Mapping[str, Any], name: str, pattern: re.Pattern[str] | None = None) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not _is_utf8(value):
        raise MessageRefused(Reason.MALFORMED, f"{name} is missing, or no text")
    if pattern is not None and not pattern.fullmatch(value):
        raise MessageRefused(Reason.MALFORMED, f"{name} is not of the form SNS gives it")
    return value


def _is_utf8(text: str) -> bool:
    """JSON can spell one half of a surrogate pair, which cannot be encoded."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unix_seconds(timestamp: str) -> float:
    try:
        return datetime.fromisoformat(timestamp).astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        raise MessageRefused(Reason.MALFORMED, "Timestamp is no moment of any calendar") from None
