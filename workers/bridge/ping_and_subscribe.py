"""`eagle-logger ping` and `eagle-logger subscribe`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import click
from botocore.exceptions import BotoCoreError, ClientError

from eagle_logger import wiring
from eagle_logger.cli.options import with_settings
from eagle_logger.core.paths import cloud_id_of
from eagle_logger.errors import BadCloudId, ConfigurationError, EagleError, UnknownUser
from eagle_logger.settings import Settings
from eagle_logger.sns.fetch_request import MAX_CLOUD_IDS, message_for
from eagle_logger.sns.topics import Topic
from eagle_logger.users.store import RequestResult
from workers.bridge import aws_clients, subscriptions
from workers.bridge.adhoc_requests import AdhocRequests
from workers.bridge.publisher import publisher


@click.command()
@with_settings
@click.argument("cloud_ids", metavar="CLOUD_ID...", nargs=-1, required=True)
@click.option(
    "--topic", help="ARN of the topic to publish to. Default: the first of EAGLE_SNS_TOPIC_ARNS."
)
@click.option("--direct", is_flag=True, help="Without SNS: straight to the workers.")
def ping(
    settings: Settings, cloud_ids: tuple[str, ...], *, topic: str | None, direct: bool
) -> None:
    """Have these users fetched at once, by way of the SNS topic.

    Whether they are known shows only with --direct: what is published, nobody answers.
    """
    if direct and topic is not None:
        raise click.UsageError("--direct does without a topic")
    asked = list(dict.fromkeys(_cloud_id(text) for text in cloud_ids))
    if direct:
        _tell(asyncio.run(_request(settings, asked)))
    else:
        _publish(settings, topic_of(settings, topic), asked)


@click.command()
@with_settings
@click.option(
    "--http",
    "url",
    metavar="URL",
    help="Deliver to the bridge here: http(s)://host/sns, as SNS can reach it.",
)
@click.option("--sqs", "queue", metavar="QUEUE", help="Deliver to this queue: its ARN or its URL.")
@click.option("--topic", help="ARN of the topic. Default: the first of EAGLE_SNS_TOPIC_ARNS.")
def subscribe(settings: Settings, *, url: str | None, queue: str | None, topic: str | None) -> None:
    """Subscribe the bridge, or a queue, to the SNS topic. Doing it again does no harm."""
    if (url is None) == (queue is None):
        raise click.UsageError("say where to: either --http URL or --sqs QUEUE")
    chosen = topic_of(settings, topic)
    try:
        told = (
            subscriptions.http(settings, chosen, url)
            if url
            else subscriptions.sqs(settings, chosen, queue or "")
        )
    except (BotoCoreError, ClientError) as exc:
        raise EagleError(f"not subscribed: {exc}") from None
    for line in told:
        click.echo(line)


def topic_of(settings: Settings, given: str | None) -> Topic:
    """The topic to use. Raises ConfigurationError."""
    arn = given or next(iter(settings.sns_topic_arns), None)
    if arn is None:
        raise ConfigurationError(
            "EAGLE_SNS_TOPIC_ARNS is not set: name a topic there, or with --topic"
        )
    try:
        return Topic.parse(arn)
    except ValueError as exc:
        raise ConfigurationError(
            f"{'--topic' if given else 'EAGLE_SNS_TOPIC_ARNS'}: {exc}"
        ) from None


def _cloud_id(text: str) -> str:
    try:
        return cloud_id_of(text)
    except ValueError as exc:
        raise BadCloudId(str(exc)) from None


def _publish(settings: Settings, topic: Topic, cloud_ids: Sequence[str]) -> None:
    client = aws_clients.sns(settings, topic)
    for batch in _batches(cloud_ids):
        try:
            published = client.publish(TopicArn=topic.arn, Message=message_for(batch))
        except (BotoCoreError, ClientError) as exc:
            raise EagleError(f"not published to {topic.arn}: {exc}") from None
        click.echo(
            f"published {', '.join(batch)} to {topic.arn} as message {published['MessageId']}"
        )


def _batches(cloud_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(cloud_ids), MAX_CLOUD_IDS):
        yield cloud_ids[start : start + MAX_CLOUD_IDS]


async def _request(settings: Settings, cloud_ids: Sequence[str]) -> RequestResult:
    users = wiring.user_store(settings, passwords=False)
    intake = AdhocRequests(users, publisher(settings))
    try:
        return await intake.take(cloud_ids)
    finally:
        intake.close()
        await users.close()


def _tell(requested: RequestResult) -> None:
    """Raises UnknownUser, or EagleError for those who are parked, once all others have been told."""
    told = {
        "sent to the workers": requested.leased,
        "being fetched already, and once more after that": requested.marked,
    }
    for what, cloud_ids in told.items():
        if cloud_ids:
            click.echo(f"{', '.join(cloud_ids)}: {what}")
    if requested.unknown:
        raise UnknownUser(
            f"unknown: {', '.join(requested.unknown)}; `eagle-logger users list` shows who there is"
        )
    if requested.parked:
        raise EagleError(f"parked: {', '.join(requested.parked)}; `eagle-logger status` says why")
