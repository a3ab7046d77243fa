"""For celery's `-A`: the same app, but the broker gives a message that is not done after a second
to another worker too."""

from __future__ import annotations

from typing import Any

from kombu.transport.redis import Transport

from workers.app import app

__all__ = ["app"]

app.conf.broker_transport_options = {**app.conf.broker_transport_options, "visibility_timeout": 1}
_register = Transport.register_with_event_loop


def _restore_every_second(self: Any, connection: Any, loop: Any) -> None:
    """kombu itself looks for such messages every ten seconds."""
    _register(self, connection, loop)  # type: ignore[no-untyped-call]
    loop.call_repeatedly(1, self.cycle.maybe_restore_messages)


Transport.register_with_event_loop = _restore_every_second  # type: ignore[method-assign]
