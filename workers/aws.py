"""Clients for Amazon's SNS and SQS, or for what stands in for them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from eagle_logger.settings import Settings
from eagle_logger.sns.topics import Topic

if TYPE_CHECKING:  # the stubs are there for the type checker only
    from types_boto3_sns import SNSClient
    from types_boto3_sqs import SQSClient

LONG_POLL = 20
"""Seconds: the longest that SQS lets a receiver wait."""

_QUEUE_URL = re.compile(r"https://(?:sqs\.([a-z0-9-]+)|([a-z0-9-]+)\.queue)\.amazonaws\.com(?:\.cn)?/")
_CONFIG = Config(connect_timeout=3, read_timeout=LONG_POLL + 5, retries={"mode": "standard", "total_max_attempts": 2})


def sns(settings: Settings, topic: Topic) -> SNSClient:
    return _session(settings).client("sns", region_name=topic.region, endpoint_url=settings.aws_endpoint_url, config=_CONFIG)


def sqs(settings: Settings, queue_url: str) -> SQSClient:
    match = _QUEUE_URL.match(queue_url)
    region = (match[1] or match[2]) if match else settings.aws_region
    return _session(settings).client("sqs", region_name=region, endpoint_url=settings.aws_endpoint_url, config=_CONFIG)


def _session(settings: Settings) -> boto3.session.Session:
    """One of its own for each client: boto3's default session is not for several threads."""
    secret = settings.aws_secret_access_key
    return boto3.session.Session(
        aws_access_key_id=settings.aws_access_key_id,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
    )
