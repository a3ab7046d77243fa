"""The relay client: one request at a time to each gateway, many gateways at once, on one event loop.

Over httpx with aiohttp's transport: httpx's own pool looks at every connection for every request.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from eagle_logger.core.readings import Kind
from eagle_logger.core.users import Credentials
from eagle_logger.errors import ConfigurationError, Refused, RelayUnavailable
from eagle_logger.rainforest import requests
from eagle_logger.rainforest.decode import LARGEST_BODY, decode
from eagle_logger.rainforest.interpret import interpret
from eagle_logger.rainforest.relay import Decoded, UnreadableReply
from eagle_logger.rainforest.wordings import WORDINGS, Wording

KEEP_ALIVE = 15.0
"""Seconds an idle connection is kept. The longer, the likelier that the relay closes it just when it is used again."""

LARGEST_ON_LOOP = 1 << 16
"""Bytes of a reply that are decoded at once; a larger one must not hold up the other users."""

_UNSAFE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class RelayClient:
    """Asks gateways through Rainforest's relay. Make it on the event loop it is used on; `close` it there.

    `user_agent` tells the relay which process asks. `connect_timeout` bounds name look-up, connection and TLS together,
    `read_timeout` each wait for more bytes (seconds); the whole visit's deadline is the caller's. `ca` is a PEM bundle to trust
    instead of the system's store. No proxy, cookie, netrc or redirect has a say. Raises ConfigurationError for a bad `ca`.
    """

    def __init__(
        self,
        url: str,
        *,
        user_agent: str,
        max_in_flight: int,
        connect_timeout: float,
        read_timeout: float,
        ca: Path | None = None,
        wordings: tuple[Wording, ...] = WORDINGS,
    ) -> None:
        self._url = httpx.URL(url)
        self._user_agent = user_agent
        self._wordings = wordings
        self._room = asyncio.Semaphore(max_in_flight)
        self._asking: set[str] = set()
        self._timeout = httpx.Timeout(read_timeout, connect=connect_timeout, pool=connect_timeout)
        self._client = _http_client(_tls(ca), max_in_flight)

    async def ask(self, credentials: Credentials, kind: Kind, mac_id: str | None = None) -> Decoded:
        """See `relay.Relay`. Also raises RuntimeError if this gateway is being asked already: a mistake of the caller's."""
        secrets = (credentials.user_pw, credentials.user_email)
        status, headers, body = await self._send(credentials, requests.reading(kind, mac_id))
        if len(body) <= LARGEST_ON_LOOP:
            return interpret(status, headers, body, secrets, self._wordings)
        return await asyncio.to_thread(interpret, status, headers, body, secrets, self._wordings)

    async def close(self) -> None:
        await self._client.aclose()

    async def _send(self, credentials: Credentials, body: bytes) -> tuple[int, httpx.Headers, bytes]:
        headers = self._headers(credentials)
        with self._only_one(credentials.cloud_id), _as_relay_unavailable():
            async with self._room:
                request = httpx.Request(
                    "POST", self._url, headers=headers, content=body, extensions={"timeout": self._timeout.as_dict()}
                )
                response = await self._client.send(request, stream=True)
                try:
                    return response.status_code, response.headers, await _read(response)
                finally:
                    await response.aclose()

    @contextmanager
    def _only_one(self, cloud_id: str) -> Iterator[None]:
        if cloud_id in self._asking:
            raise RuntimeError(f"{cloud_id} is being asked already: two requests at once freeze a gateway")
        self._asking.add(cloud_id)
        try:
            yield
        finally:
            self._asking.discard(cloud_id)

    def _headers(self, credentials: Credentials) -> list[tuple[bytes, bytes]]:
        return [
            (b"Cloud-Id", credentials.cloud_id.encode("ascii")),
            (b"User", _header_value("user name", credentials.user_email)),
            (b"Password", _header_value("password", credentials.user_pw)),
            (b"Content-Type", b"text/xml"),
            (b"User-Agent", self._user_agent.encode("ascii", "replace")),
            (b"Accept", b"*/*"),
            (b"Accept-Encoding", b"identity"),
        ]


def _header_value(what: str, text: str) -> bytes:
    """A header's value as UTF-8 (for ASCII the same in every encoding). Raises Refused if no header can carry it unchanged."""
    if _UNSAFE.search(text) or text != text.strip():
        raise Refused(f"the {what} cannot be sent: it begins or ends with a blank, or holds a line break or control character")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise Refused(f"the {what} cannot be sent: it holds half a character") from None


async def _read(response: httpx.Response) -> bytes:
    """The body, as it came. Raises UnreadableReply as soon as it is too large."""
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise UnreadableReply(decode(bytes(body)).problems[0])
    return bytes(body)


@contextmanager
def _as_relay_unavailable() -> Iterator[None]:
    """Whatever goes wrong on the wire is the relay's, and passes. aiohttp's errors come bare or as the cause of httpx's."""
    try:
        yield
    except (httpx.HTTPError, aiohttp.ClientError, OSError) as wrong:
        cause = wrong.__cause__ or wrong
        timed_out = isinstance(cause, TimeoutError | httpx.TimeoutException)
        detail = f"{type(cause).__name__}: {cause}"[:200]
        raise RelayUnavailable(detail, reason="timed_out" if timed_out else "connection") from wrong


def _http_client(tls: ssl.SSLContext, max_in_flight: int) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=max_in_flight, max_keepalive_connections=max_in_flight, keepalive_expiry=KEEP_ALIVE)

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=max_in_flight, ssl=tls, keepalive_timeout=KEEP_ALIVE, ttl_dns_cache=60)
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    transport = AiohttpTransport(verify=tls, limits=limits, client=session)
    return httpx.AsyncClient(transport=transport, follow_redirects=False, trust_env=False)


def _tls(ca: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if ca is None else str(ca))
    except OSError as wrong:  # an SSLError is one too
        raise ConfigurationError(f"EAGLE_RELAY_CA: {ca} cannot be read as certificates in PEM: {wrong}") from None
