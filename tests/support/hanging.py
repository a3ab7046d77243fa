"""For a worker's `-I` option: tasks that make it hang. From then on its watchdog waits less long; a
slow start must not count as hanging."""

from __future__ import annotations

import time
from typing import Any

from celery.signals import worker_ready

from eagle_logger.inspection import health
from workers import runtime
from workers.app import app
from workers.process import watchdog

watchdog.CHECK_EVERY_S = 0.2
_HANGS_AFTER_S = 2.0
_LONG = 600.0

_consumers: list[Any] = []


@worker_ready.connect
def _remember(sender: Any, **_: Any) -> None:
    _consumers.append(sender)


@app.task(name="hang_loop")
def hang_loop() -> None:
    health.LOOP_HANGS_AFTER_S = _HANGS_AFTER_S
    runtime.current()._loop.call_soon_threadsafe(time.sleep, _LONG)


@app.task(name="hang_consumer")
def hang_consumer() -> None:
    health.CONSUMER_HANGS_AFTER_S = _HANGS_AFTER_S
    _consumers[0].timer.call_after(0.0, time.sleep, (_LONG,))
