"""One client's connection: HTTP/1.1 spoken by hand, because a web framework would cost more than
everything else together."""

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

LONGEST_HEAD = 32 * 1024
LONGEST_BODY = 1024 * 1024
PIECE = 256 * 1024
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,8})[^\r\n]*\r\n")


class HttpServer(Protocol):
    """What a connection needs of the server it belongs to."""

    loop: asyncio.AbstractEventLoop
    heads: RequestHeadParser
    connections: set[Connection]
    """Those that are open. A connection enters and leaves by itself."""
    is_stopping: bool

    def request(self, connection: Connection, head: RequestHead, body: bytes) -> None:
        """Answer a whole request."""

    def not_http(self, reason: str) -> None:
        """Count a client that sent something else than HTTP, and was answered 400."""


class Connection(asyncio.Protocol):
    """Reads one request at a time and hands it to the server; what a client sends meanwhile waits.

    `number` is unique among all connections of all runs; `client_closed` is True once the client
    has closed its side.
    """

    def __init__(self, server: HttpServer, number: int) -> None:
        self._server = server
        self._buffer = b""
        self._busy = False
        self._paused = False
        self._lost = False
        self._head: RequestHead | None = None
        self._after_draining: Callable[[], None] | None = None
        self.number = number
        self.port = 0
        self.client_closed = False
        self.on_close: Callable[[], None] | None = None
        """Called once if the client closes while its request is being answered."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=PIECE, low=0)
        peer = transport.get_extra_info("peername")
        self.port = peer[1] if peer else 0
        self._server.connections.add(self)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if not self._busy:
            self._next_request()
        elif len(self._buffer) > LONGEST_BODY + LONGEST_HEAD:
            self.reset()  # pipelining without end

    def eof_received(self) -> bool:
        self._closed_by_client()
        return self._busy  # an answer may still be wanted

    def connection_lost(self, _why: Exception | None) -> None:
        self._lost = True
        self._closed_by_client()
        self._server.connections.discard(self)
        self._after_draining = None

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        call, self._after_draining = self._after_draining, None
        if call is not None:
            call()

    @property
    def is_busy(self) -> bool:
        return self._busy

    def send(
        self, reply: Reply, head: RequestHead, completed: Callable[[], None] | None = None
    ) -> None:
        """Send a whole reply; `completed` is called when its last byte was handed to the socket."""
        self.write(responses.as_bytes(reply, head))
        self.when_drained(
            lambda: self.finish(keep=head.keep_alive and not reply.close, completed=completed)
        )

    def drip(
        self,
        reply: Reply,
        head: RequestHead,
        completed: Callable[[], None],
        bytes_per_second: float,
    ) -> None:
        """The same, drop by drop: at most twenty drops a second."""
        data, loop = responses.as_bytes(reply, head), self._server.loop
        drop = max(1, round(bytes_per_second / 20))

        def fall(position: int) -> None:
            if self.client_closed:
                self.finish(keep=False)
                return
            following = position + drop
            self.write(data[position:following])
            if following < len(data):
                loop.call_later(drop / bytes_per_second, fall, following)
            else:
                self.finish(keep=head.keep_alive and not reply.close, completed=completed)

        fall(0)

    def break_off(self, reply: Reply, head: RequestHead, after: int) -> None:
        """Send so many bytes of a reply, then reset."""
        self.write(responses.as_bytes(reply, head)[:after])
        self._server.loop.call_later(0.05 if after else 0, self.reset)

    def write(self, data: bytes) -> None:
        """Send a part of a reply; end with `finish`. What is written to a broken connection is
        lost, as ever."""
        if not self._lost:
            self._transport.write(data)

    def when_drained(self, call: Callable[[], None]) -> None:
        """Call as soon as everything written was handed to the socket; never, if the connection
        breaks first."""
        if self._paused:
            self._after_draining = call
        else:
            call()

    def finish(self, *, keep: bool, completed: Callable[[], None] | None = None) -> None:
        """The reply is complete: close, or go on with the next request."""
        if completed is not None:
            completed()
        self.on_close = None
        if keep and not self.client_closed and not self._server.is_stopping:
            self._busy = False
            if self._buffer:
                self._next_request()
        else:
            self._transport.close()

    def reset(self) -> None:
        """Break the connection as a crashed host does: the client gets an RST."""
        if self._lost:
            return
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def close(self) -> None:
        self._transport.close()

    def stream(self, read: Callable[[int, int], bytes], start: int, end: int, keep: bool) -> None:
        """Send bytes `start` to `end` of a file, piece by piece, without holding up the others."""
        if start >= end:
            self.finish(keep=keep)
            return
        piece = read(start, min(PIECE, end - start))
        if self._lost:
            return
        self._transport.write(piece)
        following = start + len(piece)

        def go_on() -> None:
            self._server.loop.call_soon(self.stream, read, following, end, keep)

        self.when_drained(go_on)

    def _closed_by_client(self) -> None:
        self.client_closed = True
        call, self.on_close = self.on_close, None
        if call is not None:
            call()

    def _next_request(self) -> None:
        try:
            request = self._take_request()
        except ValueError as exc:
            self._busy = True
            self._transport.write(
                b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            self._server.not_http(str(exc))
            self._transport.close()
            return
        if request is not None:
            self._busy = True
            self._head = None
            self._server.request(self, *request)

    def _take_request(self) -> tuple[RequestHead, bytes] | None:
        """The first whole request in the buffer, taken out of it. Raises ValueError if it cannot be
        one."""
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            if buffer[:2] == b"\r\n":
                self._buffer = buffer.lstrip(b"\r\n")
            if len(buffer) > LONGEST_HEAD:
                raise ValueError("head too long")
            return None
        head = self._head = self._head or self._server.heads.read(buffer[:end])
        if head.length > LONGEST_BODY:
            raise ValueError("body too long")
        begin = end + 4
        if head.chunked:
            body, following = self._chunked_body(begin)
        else:
            following = begin + head.length
            body = buffer[begin:following]
        if following > len(buffer):
            if head.expects_continue and len(buffer) == begin:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return None
        self._buffer = buffer[following:]
        return head, body

    def _chunked_body(self, begin: int) -> tuple[bytes, int]:
        """A chunked body and where the next request begins: behind the buffer's end if it is not
        whole yet."""
        buffer, body = self._buffer, b""
        unfinished = b"", len(buffer) + 1
        while True:
            size = _CHUNK_SIZE.match(buffer, begin)
            if size is None:
                if len(buffer) - begin > 64:
                    raise ValueError("bad chunk")
                return unfinished
            length, begin = int(size[1], 16), size.end()
            if len(body) + length > LONGEST_BODY:
                raise ValueError("body too long")
            if len(buffer) < begin + length + 2:
                return unfinished
            if length == 0:
                return body, begin + 2
            body += buffer[begin : begin + length]
            begin += length + 2
