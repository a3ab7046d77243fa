"""The relay client: one request at a time to each gateway, many gateways at once, on one event loop.

httpx's requests and responses over aiohttp's connections (httpx's own pool looks at every connection for every request). The
transport is asked directly: of what httpx.AsyncClient puts around it (redirects, cookies, authentication, the environment)
nothing is wanted here, and it costs a quarter more CPU.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from eagle_logger.core.readings import Kind
from eagle_logger.core.users import Credentials
from eagle_logger.errors import ConfigurationError, Refused, RelayUnavailable
from eagle_logger.rainforest import requests
from eagle_logger.rainforest.decode import LARGEST_BODY
from eagle_logger.rainforest.interpret import interpret
from eagle_logger.rainforest.redaction import said
from eagle_logger.rainforest.relay import Decoded
from eagle_logger.rainforest.wordings import WORDINGS, Wording

KEEP_ALIVE = 15.0
"""Seconds an idle connection is kept. The longer, the likelier that the relay closes it just when it is used again."""

LARGEST_ON_LOOP = 1 << 16
"""Bytes of a reply that are decoded at once; a larger one must not hold up the other users."""

_ON_THE_WIRE = (httpx.HTTPError, aiohttp.ClientError, OSError)

_UNSAFE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")


class _Question(httpx.Request):
    """A request with what the transport looks at, and nothing else: httpx works out headers that aiohttp sets anyway, and
    writes their names in lower case, which not everything that speaks HTTP out there may know."""

    def __init__(self, url: str, headers: dict[str, str], body: bytes, extensions: dict[str, Any]) -> None:
        self.method = "POST"
        self.url = url  # type: ignore[assignment]
        self.headers = headers  # type: ignore[assignment]
        self.stream = httpx.ByteStream(body)
        self.extensions = extensions
        self._content = body


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
        self._url = str(httpx.URL(url))
        self._user_agent = user_agent
        self._wordings = wordings
        self._room = asyncio.Semaphore(max_in_flight)
        self._asking: set[str] = set()
        timeout = httpx.Timeout(read_timeout, connect=connect_timeout, pool=connect_timeout)
        self._extensions = {"timeout": timeout.as_dict()}
        self._transport = _transport(_tls(ca), max_in_flight)

    async def ask(self, credentials: Credentials, kind: Kind, mac_id: str | None = None) -> Decoded:
        """See `relay.Relay`. Also raises RuntimeError if this gateway is being asked already: a mistake of the caller's."""
        secrets = (credentials.user_pw, credentials.user_email)
        headers, question = self._headers(credentials), requests.reading(kind, mac_id)
        with self._only_one(credentials.cloud_id):
            try:
                status, found, body = await self._send(headers, question)
            except _ON_THE_WIRE as wrong:
                raise _relay_unavailable(wrong, secrets) from None
        if len(body) <= LARGEST_ON_LOOP:
            return interpret(status, found, body, secrets, self._wordings)
        return await asyncio.to_thread(interpret, status, found, body, secrets, self._wordings)

    async def close(self) -> None:
        await self._transport.aclose()

    async def _send(self, headers: dict[str, str], body: bytes) -> tuple[int, httpx.Headers, bytes]:
        async with self._room:
            response = await self._transport.handle_async_request(_Question(self._url, headers, body, self._extensions))
            stream = response.stream
            assert isinstance(stream, httpx.AsyncByteStream)
            try:
                return response.status_code, response.headers, await _read(stream)
            finally:
                await stream.aclose()

    @contextmanager
    def _only_one(self, cloud_id: str) -> Iterator[None]:
        if cloud_id in self._asking:
            raise RuntimeError(f"{cloud_id} is being asked already: two requests at once freeze a gateway")
        self._asking.add(cloud_id)
        try:
            yield
        finally:
            self._asking.discard(cloud_id)

    def _headers(self, credentials: Credentials) -> dict[str, str]:
        return {
            "Cloud-Id": credentials.cloud_id,
            "User": _sendable("user name", credentials.user_email),
            "Password": _sendable("password", credentials.user_pw),
            "Content-Type": "text/xml",
            "User-Agent": self._user_agent,
            "Accept": "*/*",
            "Accept-Encoding": "identity",
        }


def _sendable(what: str, text: str) -> str:
    """The text, which goes as UTF-8 (ASCII is the same in every encoding). Raises Refused if no header carries it unchanged."""
    if _UNSAFE.search(text) or text != text.strip():
        raise Refused(
            f"the {what} cannot be sent: it begins or ends with a blank, or holds a line break, a control character or half a "
            "character. Correct it with `eagle-logger users add`."
        )
    return text


async def _read(stream: httpx.AsyncByteStream) -> bytes:
    """The body, as it came; of one that is too large, just enough to tell."""
    body = bytearray()
    async for chunk in stream:
        body += chunk
        if len(body) > LARGEST_BODY:
            break
    return bytes(body)


def _relay_unavailable(wrong: Exception, secrets: tuple[str, ...]) -> RelayUnavailable:
    """Whatever goes wrong on the wire is the relay's, and passes. aiohttp's errors come bare or as the cause of httpx's.

    They may quote what the relay sent, and that may be what it was sent; so they are redacted, and not to be chained.
    """
    cause = wrong.__cause__ or wrong
    timed_out = isinstance(cause, TimeoutError | httpx.TimeoutException)
    detail = said(f"{type(cause).__name__}: {cause}", secrets)
    return RelayUnavailable(detail, reason="timed_out" if timed_out else "connection")


def _transport(tls: ssl.SSLContext, max_in_flight: int) -> AiohttpTransport:
    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=max_in_flight, ssl=tls, keepalive_timeout=KEEP_ALIVE, ttl_dns_cache=60)
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    return AiohttpTransport(verify=tls, client=session)


def _tls(ca: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if ca is None else str(ca))
    except OSError as wrong:  # an SSLError is one too
        raise ConfigurationError(f"EAGLE_RELAY_CA: {ca} cannot be read as certificates in PEM: {wrong}") from None
