from __future__ import annotations

import time

import botocore.session
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from eagle_logger.sns.certificates import Certificate, check_url
from eagle_logger.sns.partitions import partitions, region_of_queue
from eagle_logger.sns.refusals import MessageRefused, Reason
from eagle_logger.sns.topics import Topic
from tests.support.certificates import Authority

HEX = "0123456789abcdef0123456789ABCDEF"


@pytest.mark.parametrize(
    ("arn", "host", "name"),
    [
        (
            "arn:aws:sns:us-east-1:123456789012:fetch",
            "sns.us-east-1.amazonaws.com",
            "sns.amazonaws.com",
        ),
        (
            "arn:aws:sns:af-south-1:123456789012:f.fifo",
            "sns.af-south-1.amazonaws.com",
            "sns-signing.af-south-1.amazonaws.com",
        ),
        (
            "arn:aws-cn:sns:cn-north-1:123456789012:fetch",
            "sns.cn-north-1.amazonaws.com.cn",
            "sns-cn-north-1.amazonaws.com.cn",
        ),
        (
            "arn:aws-us-gov:sns:us-gov-east-1:123456789012:fetch",
            "sns.us-gov-east-1.amazonaws.com",
            "sns-us-gov-west-1.amazonaws.com",
        ),
        (
            "arn:aws-eusc:sns:eusc-de-east-1:123456789012:fetch",
            "sns.eusc-de-east-1.amazonaws.eu",
            "sns.amazonaws.eu",
        ),
        (
            "arn:aws-iso-b:sns:us-isob-east-1:123456789012:f",
            "sns.us-isob-east-1.sc2s.sgov.gov",
            "sns.sc2s.sgov.gov",
        ),
    ],
)
def test_a_topic_has_one_host_and_some_names_for_its_certificate(
    arn: str, host: str, name: str
) -> None:
    topic = Topic.parse(arn)
    assert topic.certificate_host == host
    assert name in topic.certificate_names
    check_url(f"https://{host}/SimpleNotificationService-{HEX}.pem", topic)
    Certificate.parse(Authority().issue(name).pem).check(topic, time.time())


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "fetch",
        "arn:aws:sqs:us-east-1:123456789012:fetch",
        "arn:aws:sns:us-east-1:1234:fetch",
        "arn:aws:sns:us-east-1:123456789012:",
        "arn:aws:sns:evil.example/:123456789012:fetch",
        "arn:aws:sns:s3-us-west-2:123456789012:fetch",
        "arn:aws:sns:us-east-1:123456789012:fetch:subscription",
        "arn:aws:sns:us-east-1:123456789012:fetch\n",
        "arn:aws-mars:sns:us-east-1:123456789012:fetch",
        "arn:aws:sns:cn-north-1:123456789012:fetch",
        "arn:aws:sns:us-e_st-1:123456789012:fetch",
        "arn:aws:sns:us-east-1.example:123456789012:fetch",
    ],
)
def test_a_text_that_is_no_topics_arn_is_refused(arn: str) -> None:
    with pytest.raises(ValueError, match="not the ARN"):
        Topic.parse(arn)


def test_every_partition_that_botocore_knows_has_topics() -> None:
    session = botocore.session.get_session()
    assert set(partitions()) == set(session.get_available_partitions())
    for partition in partitions().values():
        topic = Topic.parse(f"arn:{partition.name}:sns:{partition.home}:123456789012:fetch")
        client = session.create_client(
            "sns",
            region_name=topic.region,
            aws_access_key_id="not-a-key",
            aws_secret_access_key="not-a-secret",
        )
        assert client.meta.endpoint_url == f"https://{topic.certificate_host}"


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("sqs.eu-west-1.amazonaws.com", "eu-west-1"),
        ("eu-west-1.queue.amazonaws.com", "eu-west-1"),
        ("sqs.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("sqs.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"),
        ("sqs.eu-west-1.amazonaws.com.example", None),
        ("127.0.0.1", None),
        ("", None),
    ],
)
def test_a_queues_host_names_its_region(host: str, region: str | None) -> None:
    assert region_of_queue(host) == region


def test_the_common_name_counts_only_without_alternative_names() -> None:
    topic = Topic.parse("arn:aws:sns:us-east-1:123456789012:fetch")
    Certificate.parse(Authority().issue(common_name="SNS.amazonaws.com").pem).check(
        topic, time.time()
    )
    with pytest.raises(MessageRefused) as refused:
        Certificate.parse(
            Authority().issue("www.example.com", common_name="sns.amazonaws.com").pem
        ).check(topic, time.time())
    assert refused.value.reason is Reason.CERTIFICATE_NAME


@pytest.mark.parametrize(
    "pem", [b"", b"<html>", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_bytes_that_are_no_certificate_are_refused(pem: bytes) -> None:
    with pytest.raises(MessageRefused) as refused:
        Certificate.parse(pem)
    assert refused.value.reason is Reason.CERTIFICATE_UNREADABLE


def test_a_certificate_with_a_weak_key_or_none_of_rsa_is_refused() -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    for key in (weak, ec.generate_private_key(ec.SECP256R1())):
        with pytest.raises(MessageRefused) as refused:
            Certificate.parse(Authority().issue("sns.amazonaws.com", key=key).pem)
        assert refused.value.reason is Reason.CERTIFICATE_UNREADABLE
