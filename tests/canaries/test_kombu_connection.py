"""kombu's connection: its pauses, and what it passes to `_init_params`."""

from __future__ import annotations

import inspect

from kombu.connection import Connection

from tests.canaries.advice import advice_of

MODULE = "workers/process/celery_transport.py"


def test_the_pauses_between_two_tries_can_be_given() -> None:
    with advice_of(MODULE):
        parameters = inspect.signature(Connection._ensure_connection).parameters
        assert {"interval_start", "interval_step", "interval_max"} <= set(parameters)


def test_a_new_connection_passes_its_transport_and_its_tls_options_by_name() -> None:
    passed: dict[str, object] = {}

    class RecordingConnection(Connection):
        def _init_params(self, **parameters: object) -> None:  # type: ignore[override]
            passed.update(parameters)
            super()._init_params(**parameters)  # type: ignore[no-untyped-call]

    with advice_of(MODULE):
        RecordingConnection("rediss://example.com/1")  # type: ignore[no-untyped-call]
        assert passed["transport"] == "rediss"
        assert not passed["ssl"]
