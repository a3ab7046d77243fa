from __future__ import annotations

from typing import Any

import pytest
from celery import Celery
from kombu.exceptions import OperationalError

from eagle_logger.settings import Settings
from workers.app import make_app


def test_a_worker_finds_a_broker_again_within_two_seconds_however_long_it_was_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("kombu.utils.functional.sleep", slept.append)
    pauses: list[float] = []
    app = _app()
    with app.connection_for_read() as connection, pytest.raises(OperationalError):
        connection.ensure_connection(lambda _, pause: pauses.append(pause), 30)
    assert len(pauses) == 30
    assert max(pauses) == 2.0
    assert sum(slept) == pytest.approx(sum(pauses))


@pytest.mark.parametrize(
    "arguments", [None, [], [["00ce69", "0a1b2c"]], ("2015-03-10-17", "07"), ["5d2c9e41ab07"]]
)
def test_the_text_of_short_arguments_is_celerys_own(arguments: Any) -> None:
    ours, theirs = (
        app.amqp.as_task_v2("an-id", "a task", args=arguments) for app in (_app(), Celery("other"))
    )
    assert ours.headers["argsrepr"] == theirs.headers["argsrepr"]
    assert ours.body == theirs.body


def test_the_text_of_long_arguments_is_not_cut() -> None:
    many = [[f"{number:06x}" for number in range(1000)]]
    message = _app().amqp.as_task_v2("an-id", "fetch", args=many)
    assert message.headers["argsrepr"] == str(many)


def test_a_text_of_the_arguments_that_is_given_is_kept() -> None:
    message = _app().amqp.as_task_v2("an-id", "a task", args=["word"], argsrepr="hidden")
    assert message.headers["argsrepr"] == "hidden"


def _app() -> Celery:
    return make_app(Settings(redis_url="redis://127.0.0.1:1/0"))
