"""`eagle-logger ping` and `eagle-logger subscribe`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import click

from eagle_logger import wiring
from eagle_logger.cli.options import CLOUD_ID, with_settings
from eagle_logger.errors import ConfigurationError, EagleError, UnknownUser
from eagle_logger.settings import Settings
from eagle_logger.sns.fetch_request import MAX_CLOUD_IDS, message_for
from eagle_logger.sns.topics import Topic
from eagle_logger.users.store import RequestResult
from workers.bridge import aws_clients
from workers.bridge.adhoc_requests import AdhocRequests
from workers.bridge.publisher import make_publisher
from workers.bridge.subscriptions import subscribe_queue, subscribe_url


@click.command()
@with_settings
@click.argument("cloud_ids", type=CLOUD_ID, metavar="CLOUD_ID...", nargs=-1, required=True)
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
    requested = list(dict.fromkeys(cloud_ids))
    if direct:
        _print_result(asyncio.run(_request_fetches(settings, requested)))
    else:
        _publish(settings, topic_of(settings, topic), requested)


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
        if url:
            lines = subscribe_url(settings, chosen, url)
        else:
            lines = subscribe_queue(settings, chosen, queue or "")
    except aws_clients.AWS_ERRORS as exc:
        raise EagleError(f"not subscribed: {aws_clients.reason_of(exc)}") from None
    for line in lines:
        click.echo(line)


def topic_of(settings: Settings, option: str | None) -> Topic:
    """The topic that the option names, else the first of the settings. Raises
    ConfigurationError."""
    arn = option or next(iter(settings.sns_topic_arns), None)
    if arn is None:
        raise ConfigurationError(
            "EAGLE_SNS_TOPIC_ARNS is not set: name a topic there, or with --topic"
        )
    try:
        return Topic.parse(arn)
    except ValueError as exc:
        source = "--topic" if option else "EAGLE_SNS_TOPIC_ARNS"
        raise ConfigurationError(f"{source}: {exc}") from None


def _publish(settings: Settings, topic: Topic, cloud_ids: Sequence[str]) -> None:
    client = aws_clients.sns(settings, topic)
    for batch in _batches(cloud_ids):
        try:
            answer = client.publish(TopicArn=topic.arn, Message=message_for(batch))
        except aws_clients.AWS_ERRORS as exc:
            reason = aws_clients.reason_of(exc)
            raise EagleError(f"not published to {topic.arn}: {reason}") from None
        users = ", ".join(batch)
        click.echo(f"published {users} to {topic.arn} as message {answer['MessageId']}")


def _batches(cloud_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(cloud_ids), MAX_CLOUD_IDS):
        yield cloud_ids[start : start + MAX_CLOUD_IDS]


async def _request_fetches(settings: Settings, cloud_ids: Sequence[str]) -> RequestResult:
    store = wiring.user_store(settings, passwords=False)
    adhoc = AdhocRequests(store.schedule, make_publisher(settings))
    try:
        return await adhoc.fetch_now(cloud_ids)
    finally:
        adhoc.close()
        await store.close()


def _print_result(result: RequestResult) -> None:
    """Raises UnknownUser, or EagleError for parked users, once it has printed all others."""
    lines = {
        "sent to the workers": result.leased,
        "being fetched already, and once more after that": result.marked,
    }
    for line, cloud_ids in lines.items():
        if cloud_ids:
            click.echo(f"{', '.join(cloud_ids)}: {line}")
    if result.unknown:
        raise UnknownUser(
            f"unknown: {', '.join(result.unknown)}; `eagle-logger users list` shows all users"
        )
    if result.parked:
        raise EagleError(f"parked: {', '.join(result.parked)}; `eagle-logger status` says why")
