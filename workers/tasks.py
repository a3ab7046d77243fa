"""What the workers do: a few lines each. Ids and hours go in, words for Flower come out; each is safe to run twice."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence

import structlog
from celery import Task

from eagle_logger.core.hours import Hour
from eagle_logger.core.messages import messages
from eagle_logger.errors import RedisUnavailable
from eagle_logger.leasing import most_this_second
from eagle_logger.queues import ADHOC, fetch_queue, fetch_queues, rotate_queue
from workers import runtime
from workers.app import app

_log = structlog.get_logger("eagle_logger.tasks")

_settings = app.eagle_settings

_LEASED_AT_ONCE = _settings.users_per_message * _settings.shards
"""Users leased before messages are made of them: as many as may fill one message for each shard."""


@app.task(name="dispatch")
def dispatch() -> str:
    """Lease the users that have fallen due and send them to the fetch queues, unless too many messages wait there."""
    here = runtime.current()
    here.note_progress("dispatch")
    waiting = sum(here.broker.waiting(fetch_queues(_settings.fetch_queues)).values())
    most = here.run(most_this_second(here.logger.users, _settings.clock, _settings.intervals))
    leased = sent = 0
    while leased < most:
        if waiting + sent >= _settings.max_waiting_messages:
            _log.warning("no more users leased: the fetch workers are behind", waiting=waiting + sent)
            break
        cloud_ids = here.run(here.logger.users.lease(min(_LEASED_AT_ONCE, most - leased)))
        for shard, users in messages(cloud_ids, shards=_settings.shards, at_most=_settings.users_per_message):
            _send_fetch(users, fetch_queue(shard % _settings.fetch_queues))
            sent += 1
        leased += len(cloud_ids)
        if len(cloud_ids) < _LEASED_AT_ONCE:
            break
    if leased:
        _log.info("dispatch", users=leased, messages=sent, waiting=waiting)
    return f"{leased} users leased in {sent} messages, {waiting} messages waiting"


@app.task(name="fetch", bind=True)
def fetch(self: Task, cloud_ids: list[str]) -> str:
    """Fetch these users' new readings and log them."""
    started = time.monotonic()
    here = runtime.current()
    outcome = here.run(here.logger.get_new_rainforest_data(cloud_ids))
    _log.info(
        "fetch",
        message_id=self.request.id,
        cloud_ids=cloud_ids,
        users=outcome.users,
        readings=outcome.readings,
        seconds=round(time.monotonic() - started, 3),
        **outcome.counts,
    )
    return str(outcome)


@app.task(name="rotate")
def rotate(node: str | None = None, *, include_open: bool = False) -> str:
    """Archive what is complete: without a node, have every node do so; with one, have this disk's shards done."""
    here = runtime.current()
    if node is None:
        nodes = here.run(here.logger.users.nodes())
        for name in nodes:
            rotate.apply_async(args=[name], kwargs={"include_open": include_open}, queue=rotate_queue(name), expires=300)
        return f"{len(nodes)} nodes"
    planned = here.logger.plan_rotation(include_open=include_open)
    for hour, shard in planned:
        rotate_shard.apply_async(
            args=[hour.name, shard], kwargs={"include_open": include_open}, queue=rotate_queue(node), expires=900
        )
    return f"{len(planned)} shards"


@app.task(name="rotate_shard", bind=True)
def rotate_shard(self: Task, hour: str, shard: str, *, include_open: bool = False) -> str:
    """Seal, archive and in time delete one shard's log files of one hour."""
    here = runtime.current()
    rotated = here.logger.rotate_log_to_s3(Hour.parse(hour), shard, include_open=include_open, stopping=here.stopping.is_set)
    with contextlib.suppress(RedisUnavailable):  # the work is done, counted or not
        here.run(here.logger.users.count({"uploads_done": rotated.objects, "uploads_failed": len(rotated.errors)}))
    _log.info("rotate_shard", message_id=self.request.id, hour=hour, shard=shard, outcome=str(rotated))
    return str(rotated)


def enqueue_adhoc(cloud_ids: Sequence[str]) -> None:
    """Send leased users to the workers that never wait behind the schedule. Raises kombu's OperationalError."""
    for _, users in messages(cloud_ids, shards=1, at_most=_settings.users_per_message):  # one queue, whatever the shard
        _send_fetch(users, ADHOC)


def _send_fetch(cloud_ids: list[str], queue: str) -> None:
    fetch.apply_async(args=[cloud_ids], queue=queue, expires=_settings.lease)
