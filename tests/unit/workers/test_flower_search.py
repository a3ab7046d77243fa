"""Flower finds a message by any of its users, however many it has."""

from __future__ import annotations

import pytest
from celery.events.state import State
from flower.utils.search import TaskSearchEngine

from eagle_logger.settings import Settings
from workers.app import make_app


@pytest.mark.parametrize("users", [250, 1000])
def test_a_message_is_found_by_its_first_and_by_its_last_user(users: int) -> None:
    app = make_app(Settings(redis_url="redis://127.0.0.1:1/0", users_per_message=users))
    cloud_ids = [f"{number:06x}" for number in range(0xFFFFFF, 0xFFFFFF - users, -1)]
    sent = app.amqp.as_task_v2("an-id", "fetch", args=[cloud_ids])
    event = {
        "uuid": "an-id",
        "name": "fetch",
        "args": sent.headers["argsrepr"],
        "hostname": "fetch@here",
        "pid": 1,
        "clock": 1,
    }
    state = State()
    state.event(
        {"type": "task-received", **event, "utcoffset": 0, "timestamp": 1.0, "local_received": 1.0}
    )
    flower = TaskSearchEngine()
    flower.upsert(state.tasks["an-id"])
    for cloud_id in (cloud_ids[0], cloud_ids[-1]):
        assert flower.search(state.tasks, f"name:fetch {cloud_id}").task_ids == ["an-id"]
    assert flower.search(state.tasks, f"name:fetch {0xFFFFFF - users:06x}").task_ids == []
