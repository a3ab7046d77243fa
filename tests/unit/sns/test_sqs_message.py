from __future__ import annotations

import json
from typing import Any

import pytest

from eagle_logger.sns.certificate_cache import CertificateCache
from eagle_logger.sns.fetch_request import FetchRequest
from eagle_logger.sns.refusals import MessageRefused, Reason
from eagle_logger.sns.sqs_message import SqsMessage, unwrap
from eagle_logger.sns.verifier import SnsVerifier
from tests.support.fake_sns import TOPIC, FakeSns

SNS = FakeSns()
VERIFIER = SnsVerifier([TOPIC], CertificateCache(SNS.fetch_certificate))


def wrapped(message: str = "002738", **changes: Any) -> str:
    return json.dumps({**SNS.notification(message), "MessageId": "one", **changes})


@pytest.mark.parametrize(
    "body", ["002738", '{"cloud_id": "002738"}', '{"cloud_ids": ["002738"], "Type": "mine"}']
)
def test_a_raw_message_is_named_by_sqs(body: str) -> None:
    assert unwrap(body, "two", VERIFIER) == SqsMessage(FetchRequest(("002738",)), "sqs:two")


def test_a_wrapped_message_is_named_by_sns() -> None:
    assert unwrap(wrapped(), "two", VERIFIER) == SqsMessage(FetchRequest(("002738",)), "one")


@pytest.mark.parametrize("age", ["2015-01-01T00:00:00.000Z", "never"])
def test_neither_age_nor_signature_of_a_wrapped_message_is_checked(age: str) -> None:
    assert (
        unwrap(wrapped(Timestamp=age, Signature="-", SignatureVersion="9"), "two", VERIFIER).once
        == "one"
    )


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", Reason.NO_CLOUD_ID),
        ("hello", Reason.NO_CLOUD_ID),
        ("{}", Reason.NO_CLOUD_ID),
        ("[" * 100_000, Reason.TOO_COMPLEX),
        (wrapped(TopicArn=TOPIC + "x"), Reason.TOPIC_NOT_ALLOWED),
        (wrapped(TopicArn=5), Reason.MALFORMED),
        (wrapped(MessageId="a\nb"), Reason.MALFORMED),
        (wrapped(Message=None), Reason.MALFORMED),
        (wrapped(message="hello"), Reason.NO_CLOUD_ID),
        (json.dumps(SNS.confirmation()), Reason.UNKNOWN_TYPE),
    ],
)
def test_a_message_without_a_usable_request_is_refused(body: str, reason: Reason) -> None:
    with pytest.raises(MessageRefused) as refused:
        unwrap(body, "two", VERIFIER)
    assert refused.value.reason is reason
