"""For celery's `-A`: the same app, but it puts every message into the queue ten times."""

from __future__ import annotations

from typing import Any

from kombu.transport.redis import Channel

from workers.app import app

__all__ = ["app"]

TIMES = 10
_put_once = Channel._put


def _put_tenfold(self: Any, queue: str, message: Any, **options: Any) -> None:
    for _ in range(TIMES):
        _put_once(self, queue, message, **options)  # type: ignore[no-untyped-call]


Channel._put = _put_tenfold  # type: ignore[method-assign]
