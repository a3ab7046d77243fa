from __future__ import annotations

from typing import Any

import pytest
from celery import Celery
from kombu.exceptions import OperationalError

from eagle_logger.settings import Settings
from workers.app import make_app


def test_a_broker_that_was_away_for_long_is_found_again_within_two_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("kombu.utils.functional.sleep", slept.append)
    told: list[float] = []
    app = _app()
    with app.connection_for_read() as connection, pytest.raises(OperationalError):
        connection.ensure_connection(lambda _, pause: told.append(pause), 30)
    assert len(told) == 30
    assert max(told) == 2.0
    assert sum(slept) == pytest.approx(sum(told))


@pytest.mark.parametrize(
    "arguments", [None, [], [["00ce69", "0a1b2c"]], ("2015-03-10-17", "07"), ["5d2c9e41ab07"]]
)
def test_the_text_of_arguments_is_celerys_own(arguments: Any) -> None:
    ours, theirs = (
        app.amqp.as_task_v2("an-id", "some", args=arguments) for app in (_app(), Celery("another"))
    )
    assert ours.headers["argsrepr"] == theirs.headers["argsrepr"]
    assert ours.body == theirs.body


def test_but_does_not_end_before_the_arguments_do() -> None:
    many = [[f"{number:06x}" for number in range(1000)]]
    assert _app().amqp.as_task_v2("an-id", "fetch", args=many).headers["argsrepr"] == str(many)


def test_and_may_be_given() -> None:
    assert (
        _app()
        .amqp.as_task_v2("an-id", "some", args=["word"], argsrepr="hidden")
        .headers["argsrepr"]
        == "hidden"
    )


def _app() -> Celery:
    return make_app(Settings(redis_url="redis://127.0.0.1:1/0"))
