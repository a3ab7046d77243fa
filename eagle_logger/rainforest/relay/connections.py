"""The connections to the relay, kept alive between requests.

This module uses inner parts of aiohttp:

- **Which:** the connector (`connect` with a `ClientRequest`), and the protocol of a connection
  (`set_response_params`, `read`, `should_close`). aiohttp documents none of them.
- **Why, and what it saves:** aiohttp's session does as much work again for every request, although
  every request here is the same POST. Without the session a request costs 43 to 52 µs of CPU
  instead of 108 to 114, a quarter of a whole fetch over a kept-alive connection
  (docs/explanation/performance.md).
- **When it breaks:** pyproject.toml allows one minor version of aiohttp, and
  `tests/canaries/test_aiohttp_connector.py` shows whether the parts work alone. If a new version
  changed them, adapt this module to it. If that takes long, let `post` make its request with an
  `aiohttp.ClientSession` (`allow_redirects=False`, a `DummyCookieJar`, `auto_decompress=False`,
  `trust_env=False`, and the headers as a dict). That costs CPU, and changes nothing else.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping

import aiohttp
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

IDLE_CONNECTION_KEPT_S = 15.0
"""The longer an idle connection is kept, the likelier the relay closes it just when it is used
again."""

MOST_HEADS = 8
"""Heads that are read of one reply: interim ones such as "100 Continue", and the reply's own."""

TRANSPORT_ERRORS = (aiohttp.ClientError, HttpProcessingError, OSError)
"""What `Connections.post` raises for any trouble between this process and the relay. A TimeoutError
is an OSError."""

Reply = tuple[int, Mapping[str, str], bytes]
"""Status; headers, looked up without regard to case; body, undecoded."""


class Connections:
    """The connections to one URL. They use no proxy, no cookies and no netrc, and follow no
    redirect.

    Make it on the event loop that uses it. `connect_timeout` (seconds) bounds name look-up,
    connection and TLS together; the caller bounds the time of the reply, and how many requests are
    in flight. Of a body longer than `largest_body` only a little more is read, so that the caller
    sees that it is too long.
    """

    def __init__(
        self,
        url: str,
        tls: ssl.SSLContext,
        *,
        connect_timeout: float,
        largest_body: int,
    ) -> None:
        self._connector = aiohttp.TCPConnector(
            limit=0, ssl=tls, keepalive_timeout=IDLE_CONNECTION_KEPT_S, ttl_dns_cache=60
        )
        self._timeout = aiohttp.ClientTimeout(connect=connect_timeout, sock_connect=connect_timeout)
        self._largest_body = largest_body
        self._target = aiohttp.ClientRequest("POST", URL(url), loop=asyncio.get_running_loop())
        self._first_lines = (
            f"POST {self._target.url.raw_path_qs} HTTP/1.1\r\n"
            f"Host: {self._target.headers['Host']}\r\n"
        )

    async def post(self, headers: str, body: bytes, before_writing: Callable[[], None]) -> Reply:
        """Send one POST, once: a request is never repeated.

        `headers` are whole lines, in which every character may stand in a header. `before_writing`
        is called when the connection is open. Raises TRANSPORT_ERRORS, and what `before_writing`
        raises.
        """
        request = f"{self._first_lines}{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body
        connection = await self._connect()
        try:
            reply = await self._exchange(connection, request, before_writing)
        except BaseException:
            connection.close()
            raise
        # This closes the connection if the reply demands it, or was not read to its end.
        connection.release()
        return reply

    async def close(self) -> None:
        await self._connector.close()

    async def _connect(self) -> Connection:
        """An open connection on which no bytes wait.

        Bytes that came unasked would be taken for the reply to the next request.
        """
        while True:
            connection = await self._connector.connect(self._target, [], self._timeout)
            if connection.protocol is not None and not connection.protocol.should_close:
                return connection
            connection.close()

    async def _exchange(
        self, connection: Connection, request: bytes, before_writing: Callable[[], None]
    ) -> Reply:
        protocol, transport = connection.protocol, connection.transport
        if protocol is None or transport is None:
            raise aiohttp.ServerDisconnectedError
        protocol.set_response_params(read_until_eof=True, auto_decompress=False)
        before_writing()
        transport.write(request)
        for _ in range(MOST_HEADS):
            head, content = await protocol.read()
            is_interim = 100 <= head.code <= 199
            if not is_interim:
                return head.code, head.headers, await self._read_body(content)
        raise aiohttp.ClientPayloadError(f"{MOST_HEADS} interim heads came, and no reply followed")

    async def _read_body(self, content: aiohttp.StreamReader) -> bytes:
        body = bytearray()  # the body may come byte by byte
        while len(body) <= self._largest_body and not content.at_eof():
            body += await content.readany()
        return bytes(body)
