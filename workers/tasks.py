"""The workers' tasks. `beat_schedule.py` says when the first ones run, `EagleDataLogger` does the
work, and what stands here takes it from one to the other:

    dispatch      leases the users that have fallen due, and sends them as messages to `fetch`
    fetch         fetches and logs the new readings of one message's users
    rotate        asks every node to archive; on a node, sends each shard to `rotate_shard`, and
                  indexes what earlier rounds archived
    rotate_shard  archives one shard's log files of one hour
    roll_up       sends each bucket of the days that need day tables to this task; with a bucket,
                  rolls that up

A task takes ids and hours, and returns the line that Flower shows. Each is safe to run twice.
No message expires: expiry would compare the sender's clock with the worker's. A message that comes
late finds nothing to claim, or nothing to archive.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from celery.result import AsyncResult
from celery.signals import task_postrun, task_prerun
from structlog.contextvars import bind_contextvars, unbind_contextvars

from eagle_logger.broker_queues import (
    ADHOC,
    TABLES,
    fetch_queue,
    fetch_queues,
    full_queues,
    rotate_queue,
)
from eagle_logger.core.hours import Hour
from eagle_logger.core.message_batches import messages_by_shard
from eagle_logger.core.table_names import Day
from eagle_logger.core.table_plan import ROLL_UP, waiting_days
from eagle_logger.errors import EagleError, RedisUnavailable
from eagle_logger.fetching.admission import Admission
from eagle_logger.rotation.rotation_result import RotationResult
from workers import runtime
from workers.app import app
from workers.process.archive_backoff import ArchiveBackoff
from workers.process.disk_retry import retry_while_disk_fails

_log = structlog.get_logger("eagle_logger.tasks")

_settings = app.eagle_settings
_archive_backoff = ArchiveBackoff()

_USERS_PER_MESSAGE = min(_settings.users_per_message, _settings.max_in_flight)
"""A worker asks all users of a message at once, so a message holds no more users than a process may
ask at once."""
_EXAMPLES_LOGGED = 5
_TABLES_READ_FOR_S = 480.0
"""A day table's file takes so many seconds' worth of objects. With its way to the archive and back
it is made well before the broker gives the message to another worker, after 1 200 s."""
_USERS_PER_LEASE = _USERS_PER_MESSAGE * _settings.shards
"""Users leased in one call: enough to fill one message for each shard."""


@app.task(name="dispatch")
def dispatch() -> str:
    """Lease the users that have fallen due, and send them to the fetch queues."""
    started = time.monotonic()
    worker = runtime.current()
    admission = _admission(worker)
    worker.note_progress("dispatch", admission.pace())
    waiting = worker.broker.waiting(fetch_queues(_settings.fetch_queues))
    admitted = worker.run(admission.most_this_second())
    leased, message_ids = _lease_and_send(worker, admitted, Counter(waiting))
    waiting_before = sum(waiting.values())
    if leased:
        _log.info(
            "dispatch",
            users=leased,
            messages=message_ids,
            waiting=waiting_before,
            seconds=_seconds_since(started),
        )
    return (
        f"{leased} users leased in {len(message_ids)} messages, {waiting_before} messages waiting"
    )


@functools.cache
def _admission(worker: runtime.Runtime) -> Admission:
    """The same for every tick, because it remembers what the last ones saw."""
    return Admission(
        worker.store.fleet, _settings.clock, _settings.intervals, lease=_settings.lease
    )


def _lease_and_send(
    worker: runtime.Runtime, admitted: int, waiting: Counter[str]
) -> tuple[int, list[str]]:
    """Lease as many due users as are admitted, and send them. Return how many were leased, and the
    messages' ids.

    `waiting` counts the messages in each fetch queue. A queue in which too many wait gets no more.
    Its users are leased all the same; otherwise they would stay first among those that are due, in
    front of the other queues' users. They fall due again when the lease ends.
    """
    leased = 0
    message_ids: list[str] = []
    while leased < admitted:
        full = full_queues(waiting, _settings.max_waiting_messages)
        if full:
            _log.warning("fetch_workers_behind", queues=sorted(full), waiting=waiting.total())
        if len(full) == _settings.fetch_queues:
            break
        due = worker.run(worker.store.schedule.lease(min(_USERS_PER_LEASE, admitted - leased)))
        for shard, cloud_ids in messages_by_shard(
            due, shards=_settings.shards, at_most=_USERS_PER_MESSAGE
        ):
            queue = fetch_queue(shard % _settings.fetch_queues)
            if queue not in full:
                message_ids.append(_send_fetch(cloud_ids, queue))
                waiting[queue] += 1
        leased += len(due)
        if len(due) < _USERS_PER_LEASE:
            break
    return leased, message_ids


@app.task(name="fetch")
def fetch(cloud_ids: list[str]) -> str:
    """Fetch these users' new readings and log them."""
    started = time.monotonic()
    worker = runtime.current()
    outcome = retry_while_disk_fails(
        lambda: worker.run(worker.logger.run_cycle(cloud_ids)),
        worker.shutdown.begun,
        for_seconds=_settings.lease / 2,
    )
    _log.info(
        "fetch",
        cloud_ids=cloud_ids,
        users=outcome.users,
        readings=outcome.readings,
        seconds=_seconds_since(started),
        **outcome.log_fields(),
    )
    return str(outcome)


@app.task(name="rotate")
def rotate(node: str | None = None, *, include_open: bool = False) -> str:
    """Begin a round of archiving. Without a node, send this task to every node; with one, send a
    `rotate_shard` for each shard and hour on this node's disk that is complete."""
    if node is None:
        return _rotate_every_node(include_open=include_open)
    return _rotate_this_node(node, include_open=include_open)


def _rotate_every_node(*, include_open: bool) -> str:
    started = time.monotonic()
    worker = runtime.current()
    nodes = worker.run(worker.store.fleet.nodes())
    waiting = worker.broker.waiting(map(rotate_queue, nodes))
    # A node that is away would otherwise find a message of every round when it comes back.
    free = [node for node in nodes if not waiting[rotate_queue(node)]]
    message_ids = [
        _message_id(
            rotate.apply_async([node], {"include_open": include_open}, queue=rotate_queue(node))
        )
        for node in free
    ]
    _log.info("rotate", nodes=free, messages=message_ids, seconds=_seconds_since(started))
    return f"{len(free)} of {len(nodes)} nodes"


def _rotate_this_node(node: str, *, include_open: bool) -> str:
    started = time.monotonic()
    worker = runtime.current()
    queue = rotate_queue(node)
    waiting = worker.broker.waiting([queue])[queue]
    planned: list[tuple[Hour, str]] = []
    if not waiting:  # a backlog may outlast a round, and would be sent again and again
        planned = worker.logger.plan_rotation(include_open=include_open)
    options = {"include_open": include_open, "planned_by": rotate.request.id}
    message_ids = [
        _message_id(rotate_shard.apply_async([hour.name, shard], options, queue=queue))
        for hour, shard in planned
    ]
    # Behind the messages, so that the index never holds an hour up.
    indexed = worker.logger.index_hours(at_once=include_open, stopping=worker.shutdown.begun.is_set)
    for head in indexed.heads:
        _log.info(
            "hour_indexed",
            hour=head.name.hour.name,
            number=head.name.number,
            entries=head.entries,
            waiting=head.waiting,
            complete=head.complete,
        )
    _log.info(
        "rotate",
        node=node,
        waiting=waiting,
        shards=len(planned),
        messages=message_ids,
        indexed=indexed.objects,
        seconds=_seconds_since(started),
    )
    if waiting:
        return f"{waiting} messages waiting: what was sent before comes first"
    return f"{len(planned)} shards"


@app.task(name="rotate_shard")
def rotate_shard(hour: str, shard: str, *, include_open: bool = False, planned_by: str = "") -> str:
    """Seal and archive one shard's log files of one hour, and delete those that were archived long
    enough ago. `planned_by`: the id of the `rotate` message that began this round."""
    started = time.monotonic()
    worker = runtime.current()
    leaves_archive_alone = _archive_backoff.skips_round(
        planned_by, archive_is_away=worker.logger.archive_is_away
    )
    rotated = worker.logger.rotate_shard(
        Hour.parse(hour),
        shard,
        include_open=include_open,
        archiving=not leaves_archive_alone,
        stopping=worker.shutdown.begun.is_set,
    )
    if leaves_archive_alone and not rotated.removed:
        return "left for the next round: the archive was away a moment ago"
    with contextlib.suppress(RedisUnavailable):  # the work is done, counted or not
        worker.run(worker.store.fleet.count(upload_counts(rotated)))
    _log.info(
        "rotate_shard",
        hour=hour,
        shard=shard,
        cloud_ids=rotated.cloud_ids,
        **rotated.counts(),
        seconds=_seconds_since(started),
    )
    return str(rotated)


@app.task(name="roll_up")
def roll_up(
    date: str | None = None, bucket: int | None = None, *, include_open: bool = False
) -> str:
    """Make day tables. Without a day, send this task for each bucket of a complete day that has
    something to roll up; with `include_open`, of every day. With one, roll that bucket up."""
    started = time.monotonic()
    try:
        if date is None or bucket is None:
            return _plan_tables(include_open=include_open)
        return _roll_up_bucket(Day.parse(date), bucket, started)
    except EagleError as exc:
        _log.error(
            "roll_up_failed",
            date=date,
            bucket=bucket,
            reason=str(exc),
            detail="the next round, within half an hour, tries again",
        )
        _count_roll_up("failed")
        return f"failed: {exc}"


def _count_roll_up(outcome: str) -> None:
    worker = runtime.current()
    with contextlib.suppress(RedisUnavailable):  # the work is done, counted or not
        worker.run(worker.store.fleet.count({f"roll_ups_{outcome}": 1}))


def _plan_tables(*, include_open: bool) -> str:
    worker = runtime.current()
    waiting_before = waiting_days(worker.run(worker.store.fleet.progress()).get(ROLL_UP, {}))
    _note_waiting_days(waiting_before)  # it would be forgotten after an hour
    waiting = worker.broker.waiting([TABLES])[TABLES]
    if waiting:  # a backlog may outlast a round, and would be sent again and again
        return f"{waiting} messages waiting: what was sent before comes first"
    nodes = worker.run(worker.store.fleet.nodes())
    now = _settings.clock.now()
    work = worker.day_tables.work(now, nodes, include_open=include_open)
    over = {day for day, _ in work if day.is_over(now)}  # today always has something
    _note_waiting_days({day: waiting_before.get(day, now) for day in over})
    for day, bucket in work:
        roll_up.apply_async([day.date, bucket], queue=TABLES)
    if work:
        days = sorted({day.date for day, _ in work})
        _log.info("roll_up_planned", dates=days, buckets=len(work), include_open=include_open)
    return f"{len(work)} buckets"


def _note_waiting_days(since: Mapping[Day, float]) -> None:
    """For the next round, `status` and the metrics."""
    note = {day.date: moment for day, moment in since.items()}
    runtime.current().note_progress(ROLL_UP, note)


def _roll_up_bucket(day: Day, bucket: int, started: float) -> str:
    worker = runtime.current()
    result = worker.day_tables.build(
        day,
        bucket,
        _settings.clock.now(),
        read_for=_TABLES_READ_FOR_S,
        stopping=worker.shutdown.begun.is_set,
    )
    if result.stopped and not worker.shutdown.begun.is_set():
        roll_up.apply_async([day.date, bucket], queue=TABLES)
    _count_roll_up("done")
    for what, objects in (("refused", result.refused), ("unusable", result.problems)):
        if objects:
            _log.error(
                "objects_not_in_tables",
                date=day.date,
                bucket=bucket,
                what=what,
                objects=len(objects),
                examples=dict(list(objects.items())[:_EXAMPLES_LOGGED]),
                detail="what is refused stays in the homes' objects; what is unusable is tried "
                "again by the next round",
            )
    _log.info(
        "roll_up",
        date=day.date,
        bucket=bucket,
        files=result.files,
        rows=result.rows,
        bytes=result.bytes,
        gap_files=result.gap_files,
        stopped=result.stopped,
        seconds=_seconds_since(started),
    )
    return str(result)


def upload_counts(rotated: RotationResult) -> dict[str, int]:
    """A rotation's uploads for the system's counters. Hours that are stuck are counted apart from
    failed uploads."""
    return {
        "uploads_done": rotated.objects,
        "uploads_failed": len(rotated.errors) - rotated.stuck,
        "uploads_stuck": rotated.stuck,
    }


def enqueue_adhoc(cloud_ids: Sequence[str]) -> None:
    """Send leased users to the queue that never waits behind the schedule. Raises kombu's
    OperationalError."""
    # One queue for all of them, so their shards do not matter.
    for _, users in messages_by_shard(cloud_ids, shards=1, at_most=_USERS_PER_MESSAGE):
        _send_fetch(users, ADHOC)


def _send_fetch(cloud_ids: list[str], queue: str) -> str:
    return _message_id(fetch.apply_async([cloud_ids], queue=queue))


def _message_id(result: AsyncResult) -> str:
    return str(result.id)


def _seconds_since(started: float) -> float:
    return round(time.monotonic() - started, 3)


@task_prerun.connect
def _bind_message_id(task_id: str, **_: Any) -> None:
    """Give the message's id to every log line of this thread, and of the coroutines it starts."""
    bind_contextvars(message_id=task_id)


@task_postrun.connect
def _unbind_message_id(**_: Any) -> None:
    unbind_contextvars("message_id")
