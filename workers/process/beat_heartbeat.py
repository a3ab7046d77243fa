"""Beat notes progress in Redis with each message that it has really sent. So a beat that hangs, or
whose broker takes nothing, falls silent."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from celery.beat import Service
from celery.signals import after_task_publish, beat_init

from eagle_logger import wiring
from eagle_logger.errors import RedisUnavailable
from eagle_logger.settings import Settings
from eagle_logger.users.store import Fleet

BEAT_NAME = "beat"
"""The name under which beat notes progress, unless `EAGLE_PROCESS_NAME` gives another."""

_log = structlog.get_logger("eagle_logger.beat")


class BeatHeartbeat:
    """Notes progress when it is called. Beat has no event loop, so this has one of its own, which
    runs only during a call."""

    def __init__(self, fleet: Fleet, name: str) -> None:
        self._fleet = fleet
        self._name = name
        self._runner = asyncio.Runner()

    def __call__(self, **_: Any) -> None:
        try:
            self._runner.run(self._fleet.note_progress(self._name, {}))
        except RedisUnavailable as exc:
            _log.warning("heartbeat_failed", reason=str(exc))


@beat_init.connect
def _start(sender: Service, **_: Any) -> None:
    settings: Settings = sender.app.eagle_settings
    fleet = wiring.user_store(settings, passwords=False).fleet
    heartbeat = BeatHeartbeat(fleet, settings.process_name or BEAT_NAME)
    after_task_publish.connect(heartbeat, weak=False)
