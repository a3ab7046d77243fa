"""How Celery writes a message, and which class connects to the broker."""

from __future__ import annotations

import inspect

from celery import Celery
from celery.app.amqp import AMQP
from kombu.connection import Connection

from tests.canaries.advice import advice_of

MODULE = "workers/process/celery_transport.py"


def test_the_arguments_text_can_be_given_and_stands_in_a_header() -> None:
    with advice_of(MODULE):
        positional = list(inspect.signature(AMQP.as_task_v2).parameters)[1:5]
        assert positional == ["task_id", "name", "args", "kwargs"]
        app = Celery(set_as_current=False)
        message = app.amqp.as_task_v2("an-id", "fetch", args=[["00ce69"]], argsrepr="a text")
        assert message.headers["argsrepr"] == "a text"


def test_a_class_given_to_the_app_makes_its_connections() -> None:
    class OtherConnection(Connection):
        """Recognised by its class."""

    class OtherAccess(AMQP):  # type: ignore[misc]  # Celery has no types
        Connection = OtherConnection

    with advice_of(MODULE):
        app = Celery(broker="memory://", amqp=OtherAccess, set_as_current=False)
        assert isinstance(app.connection_for_read(), OtherConnection)
        assert isinstance(app.connection_for_write(), OtherConnection)
