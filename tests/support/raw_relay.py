"""A relay reduced to a socket: it sends exactly the bytes that a test gives it, and keeps exactly
what it receives."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


class RawRelay:
    """`requests` are whole requests; `connections` counts those that were opened, `open` those that
    still are. `resumed` has an item for each TLS connection: whether it resumed a session."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests: list[bytes] = []
        self.connections = 0
        self.open = 0
        self.resumed: list[bool] = []
        self.asked = asyncio.Event()
        self.all_closed = asyncio.Event()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self.all_closed.clear()
        if (tls := writer.get_extra_info("ssl_object")) is not None:
            self.resumed.append(tls.session_reused)
        # How the connection ends is for the client's side of the test to judge.
        with contextlib.suppress(
            ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError
        ):
            while not writer.is_closing():
                self.requests.append(await reader.readuntil(b"</Command>"))
                self.asked.set()
                await self.answer(writer)
        writer.transport.abort()
        self.open -= 1
        if not self.open:
            self.all_closed.set()


@contextlib.asynccontextmanager
async def raw_relay(
    answer: Answer, tls: ssl.SSLContext | None = None, port: int | None = 0
) -> AsyncIterator[RawRelay]:
    relay = RawRelay(answer)
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(relay.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", port, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    origin = f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"
    relay.url = f"{origin}/cgi-bin/post_manager"
    try:
        yield relay
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def says(*pieces: bytes) -> Answer:
    """Send exactly these bytes, piece by piece."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()

    return answer


def replies(body: bytes, status: str = "200 OK", *headers: str) -> Answer:
    """A whole HTTP reply."""
    head = "\r\n".join(
        [f"HTTP/1.1 {status}", "Content-Type: text/html", f"Content-Length: {len(body)}", *headers]
    )
    return says(head.encode() + b"\r\n\r\n" + body)


def hangs_up(*pieces: bytes) -> Answer:
    """Send these bytes, then close the connection."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        await says(*pieces)(writer)
        writer.close()

    return answer
