"""The Celery app and its settings: `celery -A workers.app worker|beat|inspect|status …`.

To import this module is to read the environment. If the settings make no sense, the process ends
with one line for each mistake, because the celery command line would show a traceback.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

from celery import Celery
from celery.signals import setup_logging
from kombu.entity import Exchange, Queue

from beat_schedule import beat_schedule
from eagle_logger.broker_queues import ADHOC, DISPATCH, TABLES, fetch_queues
from eagle_logger.errors import ConfigurationError
from eagle_logger.settings import Settings, load
from eagle_logger.telemetry import configure_logging
from workers.process.celery_transport import BrokerAccess, broker_settings

_EXCHANGE = "eagle_logger"
_ROUNDS_PER_ROLL_UP = 10
"""Where open hours are archived too (EAGLE_ROTATE_OPEN_EVERY), today gets a further file after so
many rounds."""
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
"""When beat last sent each message, as it is made to believe. So every entry is due when it starts;
otherwise a beat that restarts often would never send the messages that are due rarely."""


def _beat_entries(settings: Settings) -> dict[str, dict[str, Any]]:
    """The entries of `beat_schedule.py`, as the settings change them. Rotation and day tables
    depend on the hours of readings, so they follow the tests' accelerated clock."""
    entries = {name: dict(entry) for name, entry in beat_schedule.items()}
    for name in ("rotate", "roll_up"):
        entries[name]["schedule"] = max(0.5, settings.clock.real(entries[name]["schedule"]))
    if settings.rotate_open_every:
        entries["rotate-open"] = {
            "task": "rotate",
            "schedule": settings.rotate_open_every,
            "kwargs": {"include_open": True},
            "options": {"queue": DISPATCH},
        }
        entries["roll_up-open"] = {
            "task": "roll_up",
            "schedule": _ROUNDS_PER_ROLL_UP * settings.rotate_open_every,
            "kwargs": {"include_open": True},
            "options": {"queue": TABLES},
        }
    return {name: {**entry, "last_run_at": _LONG_AGO} for name, entry in entries.items()}


def _queue(name: str) -> Queue:
    # Queues without a routing key share that of the default queue, so each would get every message.
    return Queue(name, Exchange(_EXCHANGE, type="direct"), routing_key=name)  # type: ignore[no-untyped-call]


def make_app(settings: Settings) -> Celery:
    app = Celery(
        "eagle_logger",
        amqp=BrokerAccess,
        include=[
            "workers.tasks",
            "workers.process.beat_heartbeat",
            "workers.process.flower_queues",
        ],
    )
    app.conf.update(
        **broker_settings(settings),
        accept_content=["json"],
        beat_max_loop_interval=1,
        beat_schedule=_beat_entries(settings),
        # This scheduler keeps its schedule in memory. Nothing depends on when beat last sent a
        # message, and a schedule file that a power cut tore would keep beat from starting.
        beat_scheduler="workers.process.beat_scheduler:Scheduler",
        broker_connection_max_retries=None,
        broker_connection_retry_on_startup=True,
        task_acks_late=True,
        task_create_missing_queues=True,
        task_default_queue=ADHOC,
        task_ignore_result=True,
        task_queues=[
            _queue(name) for name in (DISPATCH, ADHOC, TABLES, *fetch_queues(settings.fetch_queues))
        ],
        task_reject_on_worker_lost=True,
        task_send_sent_event=True,
        task_serializer="json",
        timezone="UTC",
        worker_hijack_root_logger=False,
        worker_prefetch_multiplier=1,
        worker_send_task_events=True,
    )
    app.eagle_settings = settings
    return app


@setup_logging.connect
def _configure_logging(**_: Any) -> None:
    configure_logging(app.eagle_settings.log_format)


try:
    app = make_app(load())
except ConfigurationError as exc:
    print(exc, file=sys.stderr)  # noqa: T201  (for a person at the command line)
    sys.exit(2)
