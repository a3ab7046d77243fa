"""Beat's progress: what it sends has really left. A beat that hangs, or whose broker takes nothing,
falls silent."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from celery.beat import Service
from celery.signals import after_task_publish, beat_init

from eagle_logger import wiring
from eagle_logger.errors import RedisUnavailable
from eagle_logger.settings import Settings
from eagle_logger.users.store import UserStore

NAME = "beat"

_log = structlog.get_logger("eagle_logger.beat")


class BeatHeartbeat:
    """Notes progress with every message sent. Beat has no event loop of its own: this one runs only
    meanwhile."""

    def __init__(self, users: UserStore, name: str) -> None:
        self._users = users
        self._name = name
        self._runner = asyncio.Runner()

    def __call__(self, **_: Any) -> None:
        try:
            self._runner.run(self._users.note_progress(self._name, {}))
        except RedisUnavailable as exc:
            _log.warning("no heartbeat", reason=str(exc))


@beat_init.connect
def _start(sender: Service, **_: Any) -> None:
    settings: Settings = sender.app.eagle_settings
    beating = BeatHeartbeat(
        wiring.user_store(settings, passwords=False), settings.process_name or NAME
    )
    after_task_publish.connect(beating, weak=False)
