"""Subscribes the bridge, or a queue, to a topic. Each step may be repeated. Each function returns
lines for a person that say what it did."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from eagle_logger.errors import EagleError
from eagle_logger.settings import Settings
from eagle_logger.sns.topics import Topic
from workers.bridge import aws_clients

if TYPE_CHECKING:  # the stubs are there for the type checker only
    from types_boto3_sqs import SQSClient

_QUEUE_ARN = re.compile(
    r"arn:aws[a-z-]*:sqs:([a-z0-9-]+):([0-9]{12}):([A-Za-z0-9_-]{1,80}(?:\.fifo)?)"
)


def subscribe_url(settings: Settings, topic: Topic, url: str) -> list[str]:
    """Subscribe the bridge at `url`. SNS then asks the bridge to confirm, and the bridge does.
    Raises EagleError, botocore's errors."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise EagleError(f"{url!r} is not a URL that SNS could deliver to: http(s)://host/sns")
    client = aws_clients.sns(settings, topic)
    answer = client.subscribe(
        TopicArn=topic.arn, Protocol=parts.scheme, Endpoint=url, ReturnSubscriptionArn=True
    )
    lines = [f"subscribed {url} to {topic.arn}", f"subscription: {answer['SubscriptionArn']}"]
    if topic.arn in settings.sns_topic_arns:
        lines.append("SNS now asks the bridge to confirm; its log says when that is done")
    else:
        lines.append(
            "EAGLE_SNS_TOPIC_ARNS does not name this topic: "
            "the bridge refuses to confirm until it does"
        )
    if parts.scheme == "http":
        lines.append(
            "over http anybody on the way can read the messages; "
            "the signature still keeps them from being altered"
        )
    return lines


def subscribe_queue(settings: Settings, topic: Topic, queue: str) -> list[str]:
    """Let the topic write to the queue (an ARN or a URL), and subscribe it. Raises EagleError,
    botocore's errors."""
    client, queue_url, queue_arn = _client_url_and_arn(settings, queue)
    lines = _permit(client, queue_url, queue_arn, topic)
    answer = aws_clients.sns(settings, topic).subscribe(
        TopicArn=topic.arn,
        Protocol="sqs",
        Endpoint=queue_arn,
        Attributes={"RawMessageDelivery": "false"},
        ReturnSubscriptionArn=True,
    )
    lines += [
        f"subscribed {queue_arn} to {topic.arn}",
        f"subscription: {answer['SubscriptionArn']}",
    ]
    if settings.sqs_queue_url != queue_url:
        lines.append(f"to receive from it: EAGLE_SQS_QUEUE_URL={queue_url}")
    return lines


def _client_url_and_arn(settings: Settings, queue: str) -> tuple[SQSClient, str, str]:
    """A client for the queue's region, the queue's URL, and its ARN."""
    if match := _QUEUE_ARN.fullmatch(queue):
        region, account, name = match.groups()
        client = aws_clients.sqs_in(settings, region)
        url = client.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)["QueueUrl"]
        return client, url, queue
    if urlsplit(queue).scheme not in ("http", "https"):
        raise EagleError(f"{queue!r} is neither the ARN nor the URL of a queue")
    client = aws_clients.sqs(settings, queue)
    answer = client.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    return client, queue, answer["Attributes"]["QueueArn"]


def _permit(client: SQSClient, queue_url: str, queue_arn: str, topic: Topic) -> list[str]:
    """Add to the queue's policy that the topic may send to it. What else the policy says stays."""
    answer = client.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["Policy"])
    text = answer.get("Attributes", {}).get("Policy")
    policy = with_permission(json.loads(text) if text else None, queue_arn, topic)
    if policy is None:
        return [f"{queue_arn} takes messages from {topic.arn} already"]
    client.set_queue_attributes(QueueUrl=queue_url, Attributes={"Policy": json.dumps(policy)})
    return [f"allowed {topic.arn} to send to {queue_arn}"]


def with_permission(
    policy: dict[str, Any] | None, queue_arn: str, topic: Topic
) -> dict[str, Any] | None:
    """The policy with the topic's permission in it; None if it has that already."""
    permission = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic.arn}},
    }
    before = policy or {"Version": "2012-10-17"}
    statements = before.get("Statement", [])
    statements = statements if isinstance(statements, list) else [statements]
    if permission in statements:
        return None
    return {**before, "Statement": [*statements, permission]}
