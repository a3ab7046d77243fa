"""One client's connection to the simulated relay.

It speaks HTTP/1.1 without a web framework, because a framework would cost more CPU than all the
rest of a simulated reply, and the relay shares its machine with the system under test.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import Callable
from typing import Protocol, cast

from eagle_logger.simulator.http import responses
from eagle_logger.simulator.http.request_parser import RequestHead, RequestHeadParser
from eagle_logger.simulator.http.responses import Reply

LARGEST_HEAD_BYTES = 32 * 1024
LARGEST_BODY_BYTES = 1024 * 1024
LARGEST_PIECE_BYTES = 256 * 1024
"""A file is sent in pieces of at most this size. A reply counts as sent when no more than this is
left in the process's own buffer."""
PIECES_PER_SECOND = 20
"""How often a slow reply sends a piece, at most."""
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,8})[^\r\n]*\r\n")
_LONGEST_CHUNK_SIZE_LINE = 64
_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class HttpServer(Protocol):
    """What a connection needs of its server."""

    loop: asyncio.AbstractEventLoop
    heads: RequestHeadParser
    connections: set[Connection]
    """The open connections. Each adds and removes itself."""
    is_stopping: bool

    def handle_request(self, connection: Connection, head: RequestHead, body: bytes) -> None:
        """Answer a whole request."""

    def count_malformed_request(self, reason: str) -> None:
        """A client sent something other than HTTP, and the connection answered with 400."""


class Connection(asyncio.Protocol):
    """Reads one request at a time and hands it to the server; pipelined requests wait.

    `number` is unique among all connections of all runs. `client_closed` becomes True when the
    client closes its side.
    """

    def __init__(self, server: HttpServer, number: int) -> None:
        self._server = server
        self._buffer = b""
        self._busy = False
        self._paused = False
        self._lost = False
        self._head: RequestHead | None = None
        """The head of a request whose body has not wholly arrived."""
        self._after_draining: Callable[[], None] | None = None
        self.number = number
        self.port = 0
        self.client_closed = False
        self.on_close: Callable[[], None] | None = None
        """Called once if the client closes while its request is being answered."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=LARGEST_PIECE_BYTES, low=0)
        peer = transport.get_extra_info("peername")
        self.port = peer[1] if peer else 0
        self._server.connections.add(self)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if not self._busy:
            self._start_next_request()
        elif len(self._buffer) > LARGEST_BODY_BYTES + LARGEST_HEAD_BYTES:
            self.reset()  # the client pipelines without waiting for replies

    def eof_received(self) -> bool:
        self._note_closed_by_client()
        # True keeps this side open: a client that has closed its own may still read the reply.
        return self._busy

    def connection_lost(self, _exc: Exception | None) -> None:
        self._lost = True
        self._note_closed_by_client()
        self._server.connections.discard(self)
        self._after_draining = None

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        callback, self._after_draining = self._after_draining, None
        if callback is not None:
            callback()

    @property
    def is_busy(self) -> bool:
        return self._busy

    def send(
        self, reply: Reply, head: RequestHead, completed: Callable[[], None] | None = None
    ) -> None:
        """Send a whole reply. `completed` is called when it counts as sent."""
        self.write(responses.as_bytes(reply, head))
        self.when_drained(
            lambda: self.finish(keep=head.keep_alive and not reply.close, completed=completed)
        )

    def send_slowly(
        self,
        reply: Reply,
        head: RequestHead,
        completed: Callable[[], None],
        bytes_per_second: float,
    ) -> None:
        """Send a whole reply in small pieces. Calls `completed` as `send` does."""
        data, loop = responses.as_bytes(reply, head), self._server.loop
        piece_bytes = max(1, round(bytes_per_second / PIECES_PER_SECOND))

        def send_piece(start: int) -> None:
            if self.client_closed:
                self.finish(keep=False)
                return
            end = start + piece_bytes
            self.write(data[start:end])
            if end < len(data):
                loop.call_later(piece_bytes / bytes_per_second, send_piece, end)
            else:
                self.finish(keep=head.keep_alive and not reply.close, completed=completed)

        send_piece(0)

    def send_and_reset(self, reply: Reply, head: RequestHead, sent_bytes: int) -> None:
        """Send the first `sent_bytes` bytes of a reply, then reset the connection."""
        self.write(responses.as_bytes(reply, head)[:sent_bytes])
        # The pause lets the kernel send those bytes; otherwise the reset would discard them.
        self._server.loop.call_later(0.05 if sent_bytes else 0, self.reset)

    def write(self, data: bytes) -> None:
        """Send a part of a reply; call `finish` after the last. A broken connection drops it."""
        if not self._lost:
            self._transport.write(data)

    def when_drained(self, callback: Callable[[], None]) -> None:
        """Call `callback` when everything that was written counts as sent, or never if the
        connection breaks first."""
        if self._paused:
            self._after_draining = callback
        else:
            callback()

    def finish(self, *, keep: bool, completed: Callable[[], None] | None = None) -> None:
        """The reply is complete: start the next request, or close the connection."""
        if completed is not None:
            completed()
        self.on_close = None
        if keep and not self.client_closed and not self._server.is_stopping:
            self._busy = False
            if self._buffer:
                self._start_next_request()
        else:
            self._transport.close()

    def reset(self) -> None:
        """Break the connection with an RST, as a crashed host does."""
        if self._lost:
            return
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            # Lingering for 0 seconds makes the kernel send an RST in place of a FIN.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def close(self) -> None:
        self._transport.close()

    def stream(self, read: Callable[[int, int], bytes], start: int, end: int, keep: bool) -> None:
        """Send the bytes from `start` to `end` of a file; `read` takes an offset and a length.

        Between two pieces other connections get their turn.
        """
        if start >= end:
            self.finish(keep=keep)
            return
        piece = read(start, min(LARGEST_PIECE_BYTES, end - start))
        if self._lost:
            return
        self._transport.write(piece)
        next_start = start + len(piece)

        def stream_rest() -> None:
            self._server.loop.call_soon(self.stream, read, next_start, end, keep)

        self.when_drained(stream_rest)

    def _note_closed_by_client(self) -> None:
        self.client_closed = True
        callback, self.on_close = self.on_close, None
        if callback is not None:
            callback()

    def _start_next_request(self) -> None:
        try:
            request = self._take_request()
        except ValueError as exc:
            self._busy = True
            self._transport.write(_BAD_REQUEST)
            self._server.count_malformed_request(str(exc))
            self._transport.close()
            return
        if request is not None:
            self._busy = True
            self._head = None
            self._server.handle_request(self, *request)

    def _take_request(self) -> tuple[RequestHead, bytes] | None:
        """Take the first request out of the buffer; None while it is incomplete.

        Raises ValueError if the buffer cannot become a request.
        """
        buffer = self._buffer
        head_end = buffer.find(b"\r\n\r\n")
        if head_end < 0:
            if buffer[:2] == b"\r\n":
                self._buffer = buffer.lstrip(b"\r\n")
            if len(buffer) > LARGEST_HEAD_BYTES:
                raise ValueError("head too long")
            return None
        head = self._head = self._head or self._server.heads.read(buffer[:head_end])
        if head.length > LARGEST_BODY_BYTES:
            raise ValueError("body too long")
        body_start = head_end + 4
        if head.chunked:
            body, request_end = self._chunked_body(body_start)
        else:
            request_end = body_start + head.length
            body = buffer[body_start:request_end]
        if request_end > len(buffer):
            if head.expects_continue and len(buffer) == body_start:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return None
        self._buffer = buffer[request_end:]
        return head, body

    def _chunked_body(self, start: int) -> tuple[bytes, int]:
        """A chunked body, and the offset of its end. While the body is incomplete, the offset is
        beyond the buffer's end. Raises ValueError."""
        buffer, body = self._buffer, b""
        incomplete = b"", len(buffer) + 1
        while True:
            size = _CHUNK_SIZE.match(buffer, start)
            if size is None:
                if len(buffer) - start > _LONGEST_CHUNK_SIZE_LINE:
                    raise ValueError("bad chunk")
                return incomplete
            length, start = int(size[1], 16), size.end()
            if len(body) + length > LARGEST_BODY_BYTES:
                raise ValueError("body too long")
            if len(buffer) < start + length + 2:
                return incomplete
            if length == 0:
                return body, start + 2
            body += buffer[start : start + length]
            start += length + 2
