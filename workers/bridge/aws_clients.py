"""boto3's clients for Amazon's SNS and SQS, or for what stands in for them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from eagle_logger.settings import Settings
from eagle_logger.sns.partitions import region_of_queue
from eagle_logger.sns.topics import Topic

if TYPE_CHECKING:  # the stubs are there for the type checker only
    from types_boto3_sns import SNSClient
    from types_boto3_sqs import SQSClient

AWS_ERRORS = (BotoCoreError, ClientError, ResponseParserError)
"""What a call of these clients raises. botocore derives the last one from neither of the others."""
LONG_POLL_S = 20
"""The longest that SQS lets a receiver wait for a message."""

_CONFIG = Config(
    connect_timeout=3,
    read_timeout=LONG_POLL_S + 5,
    retries={"mode": "standard", "total_max_attempts": 2},
)


def reason_of(exc: Exception) -> str:
    """Why a call failed, in one line. botocore's own message about an answer that it cannot read,
    such as a proxy's page, holds the whole answer."""
    if isinstance(exc, ResponseParserError):
        return (
            "the answer is none that SNS or SQS gives: is EAGLE_AWS_ENDPOINT_URL right, and is no "
            "proxy between?"
        )
    return str(exc)


def sns(settings: Settings, topic: Topic) -> SNSClient:
    return _session(settings).client(
        "sns", region_name=topic.region, endpoint_url=settings.aws_endpoint_url, config=_CONFIG
    )


def sqs(settings: Settings, queue_url: str) -> SQSClient:
    """A client for the region that the queue's URL names, or for `EAGLE_AWS_REGION` if it names
    none."""
    host = urlsplit(queue_url).hostname or ""
    return sqs_in(settings, region_of_queue(host) or settings.aws_region)


def sqs_in(settings: Settings, region: str) -> SQSClient:
    return _session(settings).client(
        "sqs", region_name=region, endpoint_url=settings.aws_endpoint_url, config=_CONFIG
    )


def _session(settings: Settings) -> boto3.session.Session:
    """A session for one client. Several threads must not share boto3's default session."""
    secret = settings.aws_secret_access_key
    return boto3.session.Session(
        aws_access_key_id=settings.aws_access_key_id,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
    )
