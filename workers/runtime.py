"""What lives as long as a worker process: one event loop in a thread, and the clients on it.

Celery's signals at the end of this file start it and stop it.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import Future
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
import uvloop
from celery.signals import worker_init, worker_shutdown, worker_shutting_down
from celery.worker import WorkController

from eagle_logger import wiring
from eagle_logger.broker_queues import ADHOC, TABLES, Broker, fetch_queues, resolved, rotate_queue
from eagle_logger.core.skew import LARGEST_SKEW_S
from eagle_logger.disk.private_files import write_for_own_user_only
from eagle_logger.errors import ConfigurationError, RedisUnavailable
from eagle_logger.settings import Settings
from workers.process.cpu_priority import yield_to_others
from workers.process.drain_consumer import DrainConsumer, drain_step, has_task
from workers.process.file_limits import raise_limit
from workers.process.shutdown import WorkerShutdown, grace_period
from workers.process.watchdog import SignsOfLife, Watchdog, consumer_sign_step, record_tasks

if TYPE_CHECKING:
    from eagle_logger.tables.day_tables import DayTables

Result = TypeVar("Result")

_log = structlog.get_logger("eagle_logger.runtime")

NOTE_PROGRESS_EVERY_S = 2.0
REGISTER_NODE_EVERY_S = 10.0


class Runtime:
    """An event loop in a thread of its own, with the logger on it. Tasks run coroutines there and
    wait for them.

    `holder` names this process in the leases of users. `rotated_node` is the node whose disk this
    process rotates, if it rotates one. `puts_objects`: whether it has uploads to finish at its end.
    """

    def __init__(
        self,
        settings: Settings,
        name: str,
        *,
        holder: str,
        fetches: bool,
        rotated_node: str | None,
        puts_objects: bool,
    ) -> None:
        self.settings = settings
        self.name = name
        self._holder = holder
        self._rotated_node = rotated_node
        self.signs = SignsOfLife(time.monotonic())
        grace = grace_period(settings.deadline, rotates=puts_objects)
        self.shutdown = WorkerShutdown(self.signs.tasks, self._close, grace=grace)
        self.broker = Broker(settings.broker_address)
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="event-loop", daemon=True
        )
        self._thread.start()
        self.store = wiring.user_store(settings, passwords=fetches)
        self.logger = self.run(
            wiring.data_logger(settings, self.store.schedule, name=name, holder=holder)
        )
        self._clock_is_wrong = False
        self._background: list[Future[None]] = []

    @cached_property
    def day_tables(self) -> DayTables:
        """Made when it is first asked for. Raises TablesNotInstalled."""
        return wiring.day_tables(self.settings)

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine on the loop and wait for it, from any other thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def start(self) -> None:
        """Wait for Redis, free the users of a predecessor that died, and begin to note progress.
        Raises ConfigurationError."""
        self.run(self._take_over())
        self._repeat_in_background(NOTE_PROGRESS_EVERY_S, self._note_own_progress)
        self._repeat_in_background(1.0, self._loop_shows_sign)
        record_tasks(self.signs.tasks)
        Watchdog(self.signs, self.shutdown.begun).start()
        node = self._rotated_node
        if node is not None:
            self._repeat_in_background(
                REGISTER_NODE_EVERY_S, lambda: self.store.fleet.register_node(node)
            )
        _collect_garbage_seldom()

    def note_progress(self, what: str, note: Mapping[str, float]) -> None:
        """Note in Redis that `what` happened, apart from this process's own progress."""
        self.run(self.store.fleet.note_progress(what, {"by": self.name, **note}))

    def has_fetches(self) -> bool:
        """Whether a fetch is under way. The task is looked for first: when it ends, it leaves its
        stragglers behind as visits."""
        return has_task("fetch") or self.logger.has_visits

    def consumer_shows_sign(self) -> None:
        self.signs.consumer = time.monotonic()

    def _close(self) -> None:
        """Let the visits under way finish, write what is to be written, close everything."""
        for job in self._background:
            job.cancel()
        self.run(self.logger.close())
        self.run(self.store.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self.broker.close()

    def _repeat_in_background(self, seconds: float, action: Callable[[], Awaitable[None]]) -> None:
        self._background.append(
            asyncio.run_coroutine_threadsafe(_repeat(seconds, action), self._loop)
        )

    async def _loop_shows_sign(self) -> None:
        self.signs.loop = time.monotonic()

    async def _note_own_progress(self) -> None:
        disk_trouble = self.logger.disk_trouble
        note = {"disk_trouble": disk_trouble} if disk_trouble else {}
        try:
            clock_ahead = await self.store.fleet.note_progress(self.name, note)
        except RedisUnavailable:
            self.signs.redis_is_away()
            raise
        self.signs.redis_answers(time.monotonic())
        self._log_clock(clock_ahead)

    def _log_clock(self, ahead: float) -> None:
        """Log once when this machine's clock goes wrong, and once when it is right again. `ahead`:
        seconds by which it is ahead of Redis' clock."""
        is_wrong = abs(ahead) > LARGEST_SKEW_S
        if is_wrong and not self._clock_is_wrong:
            detail = (
                "this machine's clock differs from Redis', so arrival times in log lines are "
                "wrong: set it, with NTP"
            )
            _log.warning("clock_is_wrong", seconds_ahead=ahead, detail=detail)
        elif self._clock_is_wrong and not is_wrong:
            detail = "this machine's clock agrees with Redis' again"
            _log.info("clock_is_right", seconds_ahead=ahead, detail=detail)
        self._clock_is_wrong = is_wrong

    async def _take_over(self) -> None:
        """Wait until Redis answers. Then free the users that a process of this name held when it
        died; otherwise they would wait for the end of their leases."""
        while True:
            try:
                system_shards = await self.store.fleet.agree_on_shards(self.settings.shards)
                freed = await self.store.schedule.free(self._holder)
                break
            except RedisUnavailable as exc:
                _log.warning("waiting_for_redis", reason=str(exc))
                await asyncio.sleep(1)
        if system_shards != self.settings.shards:
            raise ConfigurationError(
                f"EAGLE_SHARDS is {self.settings.shards}, but this system was started with "
                f"{system_shards}: set it to that, or change the system with "
                "`eagle-logger shards set`"
            )
        if freed:
            _log.info(
                "predecessor_users_freed",
                users=len(freed),
                cloud_ids=sorted(freed),
                detail="a process of this name died while it held these users",
            )


async def _repeat(seconds: float, action: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await action()
        except RedisUnavailable as exc:
            _log.warning("heartbeat_failed", reason=str(exc))
        await asyncio.sleep(seconds)


def _collect_garbage_seldom() -> None:
    """Let Python look for cycles of garbage more seldom, and never among what is loaded by now.

    Visits leave hardly a cycle behind, but thousands of them at once look like garbage. With
    Python's own thresholds, the search took a good part of a worker's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 50)


_current: Runtime | None = None


def current() -> Runtime:
    """The runtime of this worker process."""
    if _current is None:
        raise RuntimeError("tasks run in a worker only: celery -A workers.app worker")
    return _current


@worker_init.connect
def _start(sender: WorkController, **_: Any) -> None:
    global _current  # noqa: PLW0603  (one worker, one runtime: Celery gives tasks no other way to reach it)
    write_for_own_user_only()
    settings: Settings = sender.app.eagle_settings
    node = wiring.node(settings)
    queues = resolved(
        sender.app.amqp.queues.consume_from, fetch_queue_count=settings.fetch_queues, node=node
    )
    sender.app.amqp.queues.select(queues)
    queues_with_fetches = {ADHOC, *fetch_queues(settings.fetch_queues)}
    fetching = [queue for queue in queues if queue in queues_with_fetches]
    rotates = rotate_queue(node) in queues
    puts_objects = rotates or TABLES in queues
    if fetching:
        raise_limit(wiring.descriptors(settings))
    try:
        _current = Runtime(
            settings,
            settings.process_name or sender.hostname,
            # With the node: two nodes may have processes, even hosts, of the same name.
            holder=f"{sender.hostname}/{node}",
            fetches=bool(fetching),
            rotated_node=node if rotates else None,
            puts_objects=puts_objects,
        )
        _current.start()
        consumer_steps = sender.app.steps["consumer"]
        consumer_steps.add(consumer_sign_step(_current.consumer_shows_sign))
        if puts_objects and not fetching:
            yield_to_others()
        if fetching:
            drain = DrainConsumer(wiring.drain(settings), fetching, _current.has_fetches)
            consumer_steps.add(drain_step(drain))
    except ConfigurationError as exc:
        print(exc, file=sys.stderr)  # noqa: T201  (one clear line instead of Celery's traceback)
        sys.exit(2)


@worker_shutting_down.connect
def _begin_shutdown(**_: Any) -> None:
    """Celery was asked to stop. It takes no more messages and waits for the tasks under way."""
    if _current is not None:
        _current.shutdown.begin()


@worker_shutdown.connect
def _finish_shutdown(**_: Any) -> None:
    """Celery's tasks have ended."""
    if _current is not None:
        _current.shutdown.finish()
