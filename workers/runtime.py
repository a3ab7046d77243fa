"""What lives as long as a worker process: one event loop in a thread, and the clients on it."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog
import uvloop
from celery.signals import worker_init, worker_shutdown, worker_shutting_down
from celery.worker import WorkController

from eagle_logger import wiring
from eagle_logger.broker_queues import ADHOC, Broker, fetch_queues, resolved, rotate_queue
from eagle_logger.core.skew import LARGEST_SKEW
from eagle_logger.disk.private_files import write_for_own_user_only
from eagle_logger.errors import ConfigurationError, RedisUnavailable
from eagle_logger.settings import Settings
from workers.process.cpu_priority import yield_to_others
from workers.process.drain_consumer import DrainConsumer, has_task, taking_step
from workers.process.file_limits import raise_limit
from workers.process.shutdown import ForcedShutdown
from workers.process.watchdog import Watchdog, WorkerHealth, consumer_step, watch_tasks

Result = TypeVar("Result")

_log = structlog.get_logger("eagle_logger.runtime")

HEARTBEAT = 2.0
"""Seconds between two notes of progress in Redis."""
ENDING = 15.0
"""Seconds, beside the deadline of visits under way, for everything else that has to come to an end.
"""
ROTATORS_ENDING = 45.0
"""The same for who rotates: uploads under way have their time-outs and tries."""
REGISTERING = 10.0
"""Seconds between two registrations of a rotator's node."""


class Runtime:
    """An event loop in a thread of its own, with the logger on it. Tasks run coroutines there and
    wait for them."""

    def __init__(self, settings: Settings, name: str, *, holder: str, fetches: bool) -> None:
        self.settings = settings
        self.name = name
        self._holder = holder
        self.stopping = threading.Event()
        self.grace = settings.deadline + ENDING
        """Seconds from being told to stop to the end, at most."""
        self.vitals = WorkerHealth(time.monotonic())
        self.broker = Broker(settings.broker_address)
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="event-loop", daemon=True
        )
        self._thread.start()
        self.logger = self.run(
            wiring.data_logger(settings, name=name, holder=holder, passwords=fetches)
        )
        self._clock_is_wrong = False
        self._background: list[Any] = []
        self._closing = threading.Lock()
        self._closed = False

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine on the loop and wait for it, from any other thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def start(self, node: str | None) -> None:
        """Wait for Redis, take over from a predecessor that died, and begin to report progress.
        `node`: whose disk this process rotates, if it does. Raises ConfigurationError."""
        self.run(self._take_over())
        self._every(HEARTBEAT, self._note_progress)
        self._every(1.0, self._loop_turns)
        watch_tasks(self.vitals.tasks)
        Watchdog(self.vitals, self.stopping).start()
        if node is not None:
            self.grace = self.settings.deadline + ROTATORS_ENDING
            self._every(REGISTERING, lambda: self.logger.users.register_node(node))
        _collect_garbage_seldom()

    def note_progress(self, what: str) -> None:
        """Remember in Redis that something other than this process's own heartbeat happened."""
        self.run(self.logger.users.note_progress(what, {"by": self.name}))

    def stop(self) -> None:
        """Let what is under way finish, write what is to be written, close everything. A second
        caller waits for the first."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._stop()

    def _stop(self) -> None:
        self.stopping.set()
        for job in self._background:
            job.cancel()
        self.run(self.logger.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self.broker.close()

    def _every(self, seconds: float, action: Any) -> None:
        self._background.append(
            asyncio.run_coroutine_threadsafe(_repeat(seconds, action), self._loop)
        )

    async def _note_progress(self) -> None:
        trouble = self.logger.disk_trouble
        try:
            note = {"disk_trouble": trouble} if trouble else {}
            self._log_clock(await self.logger.users.note_progress(self.name, note))
        except RedisUnavailable:
            self.vitals.redis_is_away()
            raise
        self.vitals.redis_answers(time.monotonic())

    def _log_clock(self, ahead: float) -> None:
        """Log once when this machine's clock goes wrong, and once when it is right again."""
        wrong = abs(ahead) > LARGEST_SKEW
        if wrong and not self._clock_is_wrong:
            detail = "this machine's clock differs from Redis', so arrival times in log lines are wrong: set it, with NTP"
            _log.warning("clock_is_wrong", seconds_ahead=ahead, detail=detail)
        elif self._clock_is_wrong and not wrong:
            _log.info(
                "clock_is_right",
                seconds_ahead=ahead,
                detail="this machine's clock agrees with Redis' again",
            )
        self._clock_is_wrong = wrong

    async def _loop_turns(self) -> None:
        self.vitals.loop = time.monotonic()

    def has_fetches(self) -> bool:
        """Whether a fetch is in hand; asked in this order, for a task leaves its stragglers behind
        as visits."""
        return has_task("fetch") or self.logger.has_visits

    def consumer_turns(self) -> None:
        """A sign of life of Celery's consumer."""
        self.vitals.consumer = time.monotonic()

    async def _take_over(self) -> None:
        users = self.logger.users
        while True:
            try:
                agreed = await users.agree_on_shards(self.settings.shards)
                freed = await users.free(self._holder)
                break
            except RedisUnavailable as exc:
                _log.warning("waiting for Redis", reason=str(exc))
                await asyncio.sleep(1)
        if agreed != self.settings.shards:
            raise ConfigurationError(
                f"EAGLE_SHARDS is {self.settings.shards}, but this system was started with {agreed}: set it to that, "
                "or change the system with `eagle-logger shards set`"
            )
        if freed:
            _log.info(
                "freed the users of a predecessor that died",
                users=len(freed),
                cloud_ids=sorted(freed),
            )


def _collect_garbage_seldom() -> None:
    """Visits leave hardly a cycle behind, but thousands of them at once look like garbage to be
    searched: with Python's own thresholds that was a good part of a worker's time. What was loaded
    by now is not looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 50)


async def _repeat(seconds: float, action: Any) -> None:
    while True:
        try:
            await action()
        except RedisUnavailable as exc:
            _log.warning("no heartbeat", reason=str(exc))
        await asyncio.sleep(seconds)


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
    name = settings.process_name or sender.hostname
    own = wiring.node(settings)
    queues = resolved(
        sender.app.amqp.queues.consume_from, fetch_queue_count=settings.fetch_queues, node=own
    )
    sender.app.amqp.queues.select(queues)
    fetching = [queue for queue in queues if queue in {ADHOC, *fetch_queues(settings.fetch_queues)}]
    if fetching:
        raise_limit(wiring.descriptors(settings))
    try:
        # The node too: two nodes may well have processes, even hosts, of the same name.
        _current = Runtime(
            settings, name, holder=f"{sender.hostname}/{own}", fetches=bool(fetching)
        )
        rotates = rotate_queue(own) in queues
        _current.start(own if rotates else None)
        sender.app.steps["consumer"].add(consumer_step(_current.consumer_turns))
        if rotates and not fetching:
            yield_to_others()
        if fetching:
            sender.app.steps["consumer"].add(
                taking_step(DrainConsumer(wiring.drain(settings), fetching, _current.has_fetches))
            )
    except ConfigurationError as exc:
        print(exc, file=sys.stderr)  # noqa: T201  (one clear line instead of Celery's traceback)
        sys.exit(2)


@worker_shutting_down.connect
def _stop_long_work(**_: Any) -> None:
    if _current is not None and not _current.stopping.is_set():
        _current.stopping.set()
        ForcedShutdown(_current.vitals.tasks, _current.stop, within=_current.grace).start()


@worker_shutdown.connect
def _stop(**_: Any) -> None:
    if _current is not None:
        _current.stop()
