"""A simulated relay in a thread of its own, for tests that ask it over blocking sockets."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from eagle_logger.simulator.relay.homes import Home
from eagle_logger.simulator.relay.ledger import Ledger
from eagle_logger.simulator.relay.relay import SimulatedRelay


@contextmanager
def running_relay(homes: Sequence[Home], **options: Any) -> Iterator[tuple[str, int]]:
    """Run a relay for these homes while the block lasts. Gives its host and port."""
    relay, loop = SimulatedRelay(homes, Ledger(), **options), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        url = urlsplit(asyncio.run_coroutine_threadsafe(relay.start(), loop).result(10))
        try:
            yield str(url.hostname), int(url.port or 0)
        finally:
            asyncio.run_coroutine_threadsafe(relay.stop(grace=0.2), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
