"""The connections to the relay, kept alive between requests.

aiohttp's connector makes, keeps and ends them, and its parser reads the replies; aiohttp's session,
which is as much work again for every request, is left out: what is asked here is always the same
POST (docs/explanation/performance.md has the figures).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping

import aiohttp
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

KEEP_ALIVE = 15.0
"""Seconds an idle connection is kept. The longer, the likelier that the relay closes it just when
it is used again."""

MOST_HEADS = 8
"""Heads that are read of one reply: interim ones such as "100 Continue", and its own."""

ON_THE_WIRE = (aiohttp.ClientError, HttpProcessingError, OSError)
"""What `Connections.post` raises for whatever goes wrong between here and the relay. A TimeoutError
is an OSError."""

Reply = tuple[int, Mapping[str, str], bytes]
"""Status; headers, looked up without regard to case; body, as it came."""


class Connections:
    """To one URL; made on the event loop they are used on. No proxy, cookie, netrc or redirect has
    a say.

    `connect_timeout` (seconds) bounds name look-up, connection and TLS together. The caller
    decides how long a reply may take, and how many requests are under way at once. Of a body longer
    than `largest_body` just enough is read to tell.
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
            limit=0, ssl=tls, keepalive_timeout=KEEP_ALIVE, ttl_dns_cache=60
        )
        self._timeout = aiohttp.ClientTimeout(connect=connect_timeout, sock_connect=connect_timeout)
        self._largest_body = largest_body
        self._target = aiohttp.ClientRequest("POST", URL(url), loop=asyncio.get_running_loop())
        self._first_lines = f"POST {self._target.url.raw_path_qs} HTTP/1.1\r\nHost: {self._target.headers['Host']}\r\n"

    async def post(self, headers: str, body: bytes, before_writing: Callable[[], None]) -> Reply:
        """Post once; never repeat a request. `headers`: whole lines, with only characters that a
        header may hold. `before_writing` is called when the connection is open. Raises ON_THE_WIRE,
        and what `before_writing` raises."""
        request = f"{self._first_lines}{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body
        connection = await self._connected()
        try:
            reply = await self._exchange(connection, request, before_writing)
        except BaseException:
            connection.close()
            raise
        connection.release()  # closes it, if the reply was not read to its end or says so
        return reply

    async def close(self) -> None:
        await self._connector.close()

    async def _connected(self) -> Connection:
        """A connection on which nothing lies that nobody asked for: it would be taken for the reply
        to the next request."""
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
            if not 100 <= head.code <= 199:  # after "100 Continue" and the like, the reply follows
                return head.code, head.headers, await self._body(content)
        raise aiohttp.ClientPayloadError(f"{MOST_HEADS} interim heads came, and no reply followed")

    async def _body(self, content: aiohttp.StreamReader) -> bytes:
        body = bytearray()  # it may come byte by byte
        while len(body) <= self._largest_body and not content.at_eof():
            body += await content.readany()
        return bytes(body)
