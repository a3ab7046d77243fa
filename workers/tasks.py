"""The workers' tasks, a few lines each. A task takes ids and hours, and returns words for Flower.
Each is safe to run twice.

No message expires: expiry would compare the sender's clock with the worker's. A late message finds
nothing to claim, or nothing to archive.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import structlog
from celery.result import AsyncResult
from celery.signals import task_postrun, task_prerun
from structlog.contextvars import bind_contextvars, unbind_contextvars

from eagle_logger.broker_queues import ADHOC, fetch_queue, fetch_queues, full_queues, rotate_queue
from eagle_logger.core.hours import Hour
from eagle_logger.core.message_batches import messages
from eagle_logger.errors import RedisUnavailable
from eagle_logger.fetching.admission import most_this_second
from eagle_logger.rotation.rotation_result import RotationResult
from workers import runtime
from workers.app import app
from workers.process.archive_backoff import ArchiveBackoff
from workers.process.disk_retry import when_there_is_room

_log = structlog.get_logger("eagle_logger.tasks")

_settings = app.eagle_settings
_rest = ArchiveBackoff()

_PER_MESSAGE = min(_settings.users_per_message, _settings.max_in_flight)
"""A message's users are asked all at once."""
_LEASED_AT_ONCE = _PER_MESSAGE * _settings.shards
"""Users leased before messages are made of them: as many as may fill one message for each shard."""


@app.task(name="dispatch")
def dispatch() -> str:
    """Lease the users that have fallen due and send them to the fetch queues, but for those in
    which too many messages wait: whoever would go there falls due again when the lease ends."""
    started = time.monotonic()
    here = runtime.current()
    here.note_progress("dispatch")
    waiting = Counter(here.broker.waiting(fetch_queues(_settings.fetch_queues)))
    before = waiting.total()
    most = here.run(most_this_second(here.logger.users, _settings.clock, _settings.intervals))
    leased = 0
    sent: list[str] = []
    while leased < most:
        full = full_queues(waiting, _settings.max_waiting_messages)
        if full:
            _log.warning(
                "the fetch workers are behind", queues=sorted(full), waiting=waiting.total()
            )
        if len(full) == _settings.fetch_queues:
            break
        cloud_ids = here.run(here.logger.users.lease(min(_LEASED_AT_ONCE, most - leased)))
        for shard, users in messages(cloud_ids, shards=_settings.shards, at_most=_PER_MESSAGE):
            queue = fetch_queue(shard % _settings.fetch_queues)
            if queue not in full:
                sent.append(_send_fetch(users, queue))
                waiting[queue] += 1
        leased += len(cloud_ids)
        if len(cloud_ids) < _LEASED_AT_ONCE:
            break
    if leased:
        _log.info("dispatch", users=leased, messages=sent, waiting=before, seconds=_since(started))
    return f"{leased} users leased in {len(sent)} messages, {before} messages waiting"


@app.task(name="fetch")
def fetch(cloud_ids: list[str]) -> str:
    """Fetch these users' new readings and log them."""
    started = time.monotonic()
    here = runtime.current()
    outcome = when_there_is_room(
        lambda: here.run(here.logger.get_new_rainforest_data(cloud_ids)),
        here.stopping,
        patience=_settings.lease / 2,
    )
    _log.info(
        "fetch",
        cloud_ids=cloud_ids,
        users=outcome.users,
        readings=outcome.readings,
        seconds=_since(started),
        **outcome.words(),
    )
    return str(outcome)


@app.task(name="rotate")
def rotate(node: str | None = None, *, include_open: bool = False) -> str:
    """Archive hours that are complete. Without a node, send a message to every node; with one, send
    messages for the shards of this disk. A node for which messages wait gets none: its backlog
    outlasts a round, and would be sent again and again."""
    started = time.monotonic()
    here, given = runtime.current(), {"include_open": include_open}
    if node is None:
        nodes = here.run(here.logger.users.nodes())
        backlog = here.broker.waiting(map(rotate_queue, nodes))
        free = [
            name for name in nodes if not backlog[rotate_queue(name)]
        ]  # nothing piles up for a node that is away
        sent = [_sent(rotate.apply_async([name], given, queue=rotate_queue(name))) for name in free]
        _log.info("rotate", nodes=free, messages=sent, seconds=_since(started))
        return f"{len(free)} of {len(nodes)} nodes"
    waiting = here.broker.waiting([rotate_queue(node)])[rotate_queue(node)]
    if waiting:
        _log.info("rotate", node=node, waiting=waiting, seconds=_since(started))
        return f"{waiting} messages waiting: what was sent before comes first"
    planned = here.logger.plan_rotation(include_open=include_open)
    of_this_round = {**given, "planned_by": rotate.request.id}
    sent = [
        _sent(rotate_shard.apply_async([hour.name, shard], of_this_round, queue=rotate_queue(node)))
        for hour, shard in planned
    ]
    _log.info("rotate", node=node, shards=len(planned), messages=sent, seconds=_since(started))
    return f"{len(planned)} shards"


@app.task(name="rotate_shard")
def rotate_shard(hour: str, shard: str, *, include_open: bool = False, planned_by: str = "") -> str:
    """Seal, archive and in time delete one shard's log files of one hour. `planned_by`: the message
    that began this round."""
    started = time.monotonic()
    here = runtime.current()
    is_left = _rest.covers(planned_by, is_away=here.logger.archive_is_away)
    rotated = here.logger.rotate_log_to_s3(
        Hour.parse(hour),
        shard,
        include_open=include_open,
        archiving=not is_left,
        stopping=here.stopping.is_set,
    )
    if is_left and not rotated.removed:
        return "left for the next round: the archive was away a moment ago"
    with contextlib.suppress(RedisUnavailable):  # the work is done, counted or not
        here.run(here.logger.users.count(_uploads(rotated)))
    _log.info(
        "rotate_shard",
        hour=hour,
        shard=shard,
        cloud_ids=rotated.cloud_ids,
        **rotated.counts(),
        seconds=_since(started),
    )
    return str(rotated)


def _uploads(rotated: RotationResult) -> dict[str, int]:
    """A rotation's uploads for the system's counters. Hours that are stuck are counted apart from
    failed uploads."""
    failed = len(rotated.errors) - rotated.stuck
    return {
        "uploads_done": rotated.objects,
        "uploads_failed": failed,
        "uploads_stuck": rotated.stuck,
    }


def enqueue_adhoc(cloud_ids: Sequence[str]) -> None:
    """Send leased users to the workers that never wait behind the schedule. Raises kombu's
    OperationalError."""
    for _, users in messages(
        cloud_ids, shards=1, at_most=_PER_MESSAGE
    ):  # one queue, whatever the shard
        _send_fetch(users, ADHOC)


def _send_fetch(cloud_ids: list[str], queue: str) -> str:
    return _sent(fetch.apply_async([cloud_ids], queue=queue))


def _sent(result: AsyncResult) -> str:
    return str(result.id)


def _since(started: float) -> float:
    return round(time.monotonic() - started, 3)


@task_prerun.connect
def _name_in_log_lines(task_id: str, **_: Any) -> None:
    """Whatever is logged for a message bears its id, in this thread and in the coroutines it
    starts."""
    bind_contextvars(message_id=task_id)


@task_postrun.connect
def _name_no_more(**_: Any) -> None:
    unbind_contextvars("message_id")
