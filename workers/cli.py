"""The commands that need Celery or Tornado, joined to `eagle-logger` by entry point."""

from workers.bridge.ping_and_subscribe import ping, subscribe
from workers.drain import drain
from workers.up.command import up

__all__ = ["drain", "ping", "subscribe", "up"]
