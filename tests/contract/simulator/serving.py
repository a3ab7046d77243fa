"""A simulated relay in a thread of its own, for tests that speak to it with blocking sockets."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from eagle_logger.simulator.relay.homes import Home
from eagle_logger.simulator.relay.ledger import Ledger
from eagle_logger.simulator.relay.relay import SimulatedRelay


@contextmanager
def serving(
    homes: Sequence[Home], ledger: Path | None = None, **options: Any
) -> Iterator[tuple[str, int]]:
    """The address of a relay for these homes, while the block lasts."""
    started, address = threading.Event(), []

    async def serve() -> None:
        relay, stop = SimulatedRelay(homes, Ledger(ledger), **options), asyncio.Event()
        url = urlsplit(await relay.start())
        address.append((str(url.hostname), int(url.port or 0)))
        stoppers.append(partial(asyncio.get_running_loop().call_soon_threadsafe, stop.set))
        started.set()
        await stop.wait()
        await relay.stop(grace=0.2)

    stoppers: list[Any] = []
    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert started.wait(10)
    try:
        yield address[0]
    finally:
        stoppers[0]()
        thread.join(10)
