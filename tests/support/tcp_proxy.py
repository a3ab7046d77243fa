"""A proxy of TCP connections whose faults a test plays: it goes dead, or leads elsewhere.

It can speak TLS to its clients, in front of a server that cannot.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from typing import Self

from tests.support.polling import PATIENCE_S


class TcpProxy:
    """Forwards from 127.0.0.1:`port` to 127.0.0.1:`target` in a thread. Use as a context.

    With `port` 0 the system chooses the port on entering. With `tls` the clients must speak TLS,
    and the target gets what they send decrypted. `received` holds all bytes that clients sent, and
    `connections` counts the connections that were accepted (after their TLS handshake).
    """

    def __init__(self, target: int, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.port = port
        self.received = b""
        self.connections = 0
        self._target, self._tls = target, tls
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tcp-proxy", daemon=True)
        self._is_dead = False

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE_S)

    def go_dead(self) -> None:
        """Leave every connection half-open for good, and every new one until `come_back`."""
        self._loop.call_soon_threadsafe(self._cut_all)

    def come_back(self) -> None:
        """Forward new connections again; the dead ones stay dead."""
        self._loop.call_soon_threadsafe(self._forward_again)

    def lead_to(self, target: int) -> None:
        """Forward new connections to that port; those that are open stay where they lead."""
        self._target = target

    def _cut_all(self) -> None:
        self._is_dead = True
        self._cut.set()

    def _forward_again(self) -> None:
        self._is_dead = False
        self._cut = asyncio.Event()

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop, self._cut = asyncio.Event(), asyncio.Event()
        # A client that refuses our certificate is no failure of the test.
        self._loop.set_exception_handler(lambda _loop, _context: None)
        server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        connections = asyncio.all_tasks() - {asyncio.current_task()}
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await asyncio.sleep(0)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(OSError, asyncio.CancelledError):
            if self._is_dead:
                await _until_hung_up(reader)
            else:
                await self._forward(reader, writer, self._cut)
        writer.transport.abort()

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: asyncio.Event
    ) -> None:
        from_target, to_target = await asyncio.open_connection("127.0.0.1", self._target)
        ends = [
            asyncio.create_task(self._send_on(reader, to_target, cut)),
            asyncio.create_task(_copy(from_target, writer, cut)),
            asyncio.create_task(cut.wait()),
        ]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                end.cancel()
            await asyncio.gather(*ends, return_exceptions=True)
            if cut.is_set():
                await _until_hung_up(reader)
        finally:
            to_target.transport.abort()

    async def _send_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: asyncio.Event
    ) -> None:
        while (data := await reader.read(65536)) and not cut.is_set():
            self.received += data
            writer.write(data)
            await writer.drain()


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: asyncio.Event
) -> None:
    while (data := await reader.read(65536)) and not cut.is_set():
        writer.write(data)
        await writer.drain()


async def _until_hung_up(reader: asyncio.StreamReader) -> None:
    while await reader.read(65536):
        pass
