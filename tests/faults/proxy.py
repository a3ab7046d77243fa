"""A way to Redis that can go dead without a word, or lead elsewhere from now on: what was open
stays open."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from types import TracebackType
from typing import Self


class Proxy:
    """Forwards 127.0.0.1:`port` to another port, in a thread of its own. Use as a context."""

    def __init__(self, port: int, target: int) -> None:
        self.port, self._target = port, target
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._cut: asyncio.Event
        self._closed = False

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def go_dead(self) -> None:
        """Every connection there is, and every one that comes until `come_back`, is half-open for
        good."""
        self._loop.call_soon_threadsafe(self._die)

    def come_back(self) -> None:
        """New connections are forwarded again; the dead ones stay dead."""
        self._loop.call_soon_threadsafe(self._live)

    def lead_to(self, target: int) -> None:
        """New connections go to that port; those that are open stay where they lead."""
        self._target = target

    def _die(self) -> None:
        self._closed = True
        self._cut.set()

    def _live(self) -> None:
        self._closed = False
        self._cut = asyncio.Event()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        self._cut = asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self._ready.set()
        await self._stop.wait()
        server.close()
        connections = asyncio.all_tasks() - {asyncio.current_task()}
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await asyncio.sleep(0)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cut = self._cut
        with contextlib.suppress(OSError, asyncio.CancelledError):
            if self._closed:
                await self._until_hung_up(reader)
            else:
                await self._forward(reader, writer, cut)
        writer.transport.abort()

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: asyncio.Event
    ) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        dead = asyncio.create_task(cut.wait())
        pumps = [
            asyncio.create_task(_pump(reader, back, cut)),
            asyncio.create_task(_pump(there, writer, cut)),
        ]
        try:
            await asyncio.wait([*pumps, dead], return_when=asyncio.FIRST_COMPLETED)
            for task in (*pumps, dead):
                task.cancel()
            await asyncio.gather(*pumps, dead, return_exceptions=True)
            if cut.is_set():
                await self._until_hung_up(reader)
        finally:
            back.transport.abort()

    async def _until_hung_up(self, reader: asyncio.StreamReader) -> None:
        while await reader.read(65536):
            pass


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: asyncio.Event
) -> None:
    while (data := await reader.read(65536)) and not cut.is_set():
        writer.write(data)
        await writer.drain()
