"""A running Celery worker: its consumer, its timer, and the messages that it holds."""

from __future__ import annotations

import inspect
from typing import Any
from weakref import WeakSet

from celery import Celery
from celery.worker import state
from celery.worker.consumer import Consumer
from celery.worker.request import Request
from kombu.asynchronous.timer import Timer

from tests.canaries.advice import advice_of

MODULE = "workers/process/drain_consumer.py"


def test_a_running_consumer_takes_and_leaves_queues() -> None:
    with advice_of(MODULE):
        assert "queue" in inspect.signature(Consumer.add_task_queue).parameters
        assert "queue" in inspect.signature(Consumer.cancel_task_queue).parameters


def test_the_messages_that_a_worker_holds_are_listed_with_their_tasks_name() -> None:
    with advice_of(MODULE):
        assert isinstance(state.reserved_requests, WeakSet)
        assert hasattr(Request, "name")


def test_a_timer_calls_repeatedly_until_its_entry_is_cancelled() -> None:
    with advice_of(MODULE):
        timer: Any = Timer()  # type: ignore[no-untyped-call]  # kombu has no types
        timer.call_repeatedly(1.0, lambda: None).cancel()


def test_an_app_takes_further_steps_for_its_workers_consumer() -> None:
    with advice_of(MODULE):
        assert isinstance(Celery(set_as_current=False).steps["consumer"], set)
