"""The relay client: one request at a time to each gateway, many gateways at once, on one event loop.

aiohttp, and nothing around it: of what httpx.AsyncClient adds (redirects, cookies, authentication, the environment) nothing is
wanted here; httpx's own pool looks at every connection for every request; and httpx's transport over aiohttp costs as much CPU
as aiohttp itself.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from eagle_logger.core.readings import Kind
from eagle_logger.core.users import Credentials
from eagle_logger.errors import ConfigurationError, Refused, RelayUnavailable
from eagle_logger.rainforest import requests
from eagle_logger.rainforest.decode import LARGEST_BODY
from eagle_logger.rainforest.interpret import interpret
from eagle_logger.rainforest.redaction import said
from eagle_logger.rainforest.relay import Decoded
from eagle_logger.rainforest.resuming import resuming_context
from eagle_logger.rainforest.wordings import WORDINGS, Wording

KEEP_ALIVE = 15.0
"""Seconds an idle connection is kept. The longer, the likelier that the relay closes it just when it is used again."""

LARGEST_ON_LOOP = 1 << 16
"""Bytes of a reply that are decoded at once; a larger one must not hold up the other users."""

_ON_THE_WIRE = (aiohttp.ClientError, OSError)  # a TimeoutError is an OSError

_UNSAFE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")


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
        self._url = url
        self._user_agent = user_agent
        self._wordings = wordings
        self._room = asyncio.Semaphore(max_in_flight)
        self._asking: set[str] = set()
        self._session = _session(_tls(ca), max_in_flight, connect_timeout, read_timeout)

    async def ask(self, credentials: Credentials, kind: Kind, mac_id: str | None = None) -> Decoded:
        """See `relay.Relay`. Also raises RuntimeError if this gateway is being asked already: a mistake of the caller's."""
        secrets = (credentials.user_pw, credentials.user_email)
        headers, question = self._headers(credentials), requests.reading(kind, mac_id)
        if credentials.cloud_id in self._asking:
            raise RuntimeError(f"{credentials.cloud_id} is being asked already: two requests at once freeze a gateway")
        self._asking.add(credentials.cloud_id)
        try:
            async with self._room:
                status, found, body = await self._send(headers, question)
        except _ON_THE_WIRE as wrong:
            raise _relay_unavailable(wrong, secrets) from None
        finally:
            self._asking.discard(credentials.cloud_id)
        if len(body) <= LARGEST_ON_LOOP:
            return interpret(status, found, body, secrets, self._wordings)
        return await asyncio.to_thread(interpret, status, found, body, secrets, self._wordings)

    async def close(self) -> None:
        await self._session.close()

    async def _send(self, headers: dict[str, str], body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        reply = await self._session.request("POST", self._url, headers=headers, data=body, allow_redirects=False)
        try:
            return reply.status, reply.headers, await _read(reply.content)
        finally:
            reply.release()  # what was read to its end is kept alive, anything else is closed

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


async def _read(content: aiohttp.StreamReader) -> bytes:
    """The body, as it came; of one that is too large, just enough to tell."""
    body = bytearray()  # it may come byte by byte
    while len(body) <= LARGEST_BODY and not content.at_eof():
        body += await content.readany()
    return bytes(body)


def _relay_unavailable(wrong: Exception, secrets: tuple[str, ...]) -> RelayUnavailable:
    """Whatever goes wrong on the wire is the relay's, and passes.

    An error may quote what the relay sent, and that may be what it was sent; so it is redacted, and not to be chained.
    """
    detail = said(f"{type(wrong).__name__}: {wrong}", secrets)
    return RelayUnavailable(detail, reason="timed_out" if isinstance(wrong, TimeoutError) else "connection")


def _session(tls: ssl.SSLContext, max_in_flight: int, connect_timeout: float, read_timeout: float) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=max_in_flight, ssl=tls, keepalive_timeout=KEEP_ALIVE, ttl_dns_cache=60),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(connect=connect_timeout, sock_connect=connect_timeout, sock_read=read_timeout),
        auto_decompress=False,  # nothing compressed was asked for
    )


def _tls(ca: Path | None) -> ssl.SSLContext:
    try:
        return resuming_context(ca)
    except OSError as wrong:  # an SSLError is one too
        raise ConfigurationError(f"EAGLE_RELAY_CA: {ca} cannot be read as certificates in PEM: {wrong}") from None
