"""The commands that need Celery or Tornado. Entry points in `pyproject.toml` join them to
`eagle-logger`."""

from workers.bridge.ping_and_subscribe import ping, subscribe
from workers.drain import drain
from workers.up.command import up

__all__ = ["drain", "ping", "subscribe", "up"]
