"""Sends `fetch` messages from a process that is no worker: from the command line, where `--data`
may name other settings than the environment does."""

from __future__ import annotations

from collections.abc import Sequence

from celery import Celery

from eagle_logger.broker_queues import ADHOC
from eagle_logger.core.message_batches import messages_by_shard
from eagle_logger.settings import Settings
from workers.bridge.adhoc_requests import Enqueue
from workers.process.celery_transport import BrokerAccess, broker_settings


def make_publisher(settings: Settings) -> Enqueue:
    """A function that publishes as `workers.tasks.enqueue_adhoc` does. It raises kombu's
    OperationalError when the broker is away."""
    app = make_publisher_app(settings)

    def enqueue(cloud_ids: Sequence[str]) -> None:
        # One queue for all of them, so their shards do not matter.
        for _, users in messages_by_shard(cloud_ids, shards=1, at_most=settings.users_per_message):
            app.send_task("fetch", args=[users], queue=ADHOC)

    return enqueue


def make_publisher_app(settings: Settings) -> Celery:
    app = Celery("eagle_logger.publisher", amqp=BrokerAccess, set_as_current=False)
    app.conf.update(
        **broker_settings(settings),
        task_ignore_result=True,
        task_default_queue=ADHOC,
        task_serializer="json",
        timezone="UTC",
    )
    return app
