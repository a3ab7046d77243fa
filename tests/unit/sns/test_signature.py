from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_logger.sns.message import MessageType, SnsMessage, parse_message
from eagle_logger.sns.refusals import MessageRefused
from eagle_logger.sns.signature import string_to_sign, verify_signature
from tests.support.fake_sns import FakeSns, body

EXAMPLE = SnsMessage(
    type=MessageType.NOTIFICATION,
    message_id="22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
    topic_arn="arn:aws:sns:us-west-2:123456789012:MyTopic",
    message="Hello world!",
    timestamp="2012-05-02T00:54:06.655Z",
    moment=1335920046.655,
    signature_version="1",
    signature="",
    certificate_url="",
)
SNS = FakeSns()
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
LINES = TEXTS.map(lambda text: "".join(text.splitlines()))


def test_a_notification_is_signed_as_the_developer_guide_says() -> None:
    assert string_to_sign(replace(EXAMPLE, subject="My First Message")).decode() == (
        "Message\nHello world!\n"
        "MessageId\n22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324\n"
        "Subject\nMy First Message\n"
        "Timestamp\n2012-05-02T00:54:06.655Z\n"
        "TopicArn\narn:aws:sns:us-west-2:123456789012:MyTopic\n"
        "Type\nNotification\n"
    )


def test_a_confirmation_is_signed_with_its_token_and_url() -> None:
    confirmation = replace(
        EXAMPLE,
        type=MessageType.SUBSCRIPTION_CONFIRMATION,
        token="t0k3n",
        subscribe_url="https://a/",
    )
    assert string_to_sign(confirmation).decode() == (
        "Message\nHello world!\n"
        "MessageId\n22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324\n"
        "SubscribeURL\nhttps://a/\n"
        "Timestamp\n2012-05-02T00:54:06.655Z\n"
        "Token\nt0k3n\n"
        "TopicArn\narn:aws:sns:us-west-2:123456789012:MyTopic\n"
        "Type\nSubscriptionConfirmation\n"
    )


@given(TEXTS, st.none() | LINES, st.sampled_from(["1", "2"]))
def test_the_signature_fits_the_signed_message_and_no_other(
    message: str, subject: str | None, version: str
) -> None:
    delivered = parse_message(body(SNS.notification(message, subject=subject, version=version)))
    verify_signature(delivered, SNS.signer.key.public_key())
    changed: list[dict[str, Any]] = [
        {"message": message + "x"},
        {"subject": (subject or "") + "x"},
        {"message_id": "x"},
    ]
    for change in changed:
        with pytest.raises(MessageRefused):
            verify_signature(replace(delivered, **change), SNS.signer.key.public_key())


@given(TEXTS, TEXTS, st.none() | LINES, st.none() | LINES)
def test_two_messages_never_share_their_signed_lines(
    message: str, other: str, subject: str | None, other_subject: str | None
) -> None:
    first = string_to_sign(replace(EXAMPLE, message=message, subject=subject))
    second = string_to_sign(replace(EXAMPLE, message=other, subject=other_subject))
    assert (first == second) == ((message, subject) == (other, other_subject))
