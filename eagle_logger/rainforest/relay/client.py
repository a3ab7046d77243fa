"""The relay client: one request at a time to each gateway, many gateways at once, on one event
loop."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from pathlib import Path

from eagle_logger.core.kinds import Kind
from eagle_logger.core.sendable import sendable
from eagle_logger.core.users import Credentials
from eagle_logger.errors import ConfigurationError, Refused, RelayUnavailable
from eagle_logger.rainforest.decoding.decode import LARGEST_BODY
from eagle_logger.rainforest.decoding.error_phrases import WORDINGS, ErrorPhrase
from eagle_logger.rainforest.decoding.redaction import said
from eagle_logger.rainforest.decoding.reply import interpret
from eagle_logger.rainforest.relay import requests
from eagle_logger.rainforest.relay.connections import ON_THE_WIRE, Connections
from eagle_logger.rainforest.relay.tls_resumption import resuming_context
from eagle_logger.rainforest.source import Decoded

_UNSAFE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class RelayClient:
    """Asks gateways through Rainforest's relay. Make it on the event loop it is used on; `close` it
    there.

    `user_agent` tells the relay which process asks. `connect_timeout` (seconds) bounds name
    look-up, connection and TLS together; the deadline of the whole is the caller's. `ca` is a PEM
    bundle to trust instead of the system's store. How many gateways are asked at once is the
    caller's choice too. Raises ConfigurationError for a bad `ca` or `user_agent`.
    """

    def __init__(
        self,
        url: str,
        *,
        user_agent: str,
        connect_timeout: float,
        ca: Path | None = None,
        wordings: tuple[ErrorPhrase, ...] = WORDINGS,
    ) -> None:
        if _UNSAFE.search(user_agent):
            raise ConfigurationError(f"EAGLE_PROCESS_NAME: no header can carry {user_agent!r}")
        self._wordings = wordings
        self._asking: set[str] = set()
        self._connections = Connections(
            url,
            _tls(ca),
            connect_timeout=connect_timeout,
            largest_body=LARGEST_BODY,
        )
        self._same_headers = f"Content-Type: text/xml\r\nUser-Agent: {user_agent}\r\nAccept: */*\r\nAccept-Encoding: identity\r\n"

    async def ask(
        self,
        credentials: Credentials,
        kind: Kind,
        mac_id: str | None = None,
        before_writing: Callable[[], None] = lambda: None,
    ) -> Decoded:
        """See `source.Relay`. Also raises RuntimeError if this gateway is being asked already: a
        mistake of the caller's."""
        secrets = (credentials.user_pw, credentials.user_email)
        headers, question = self._headers(credentials), requests.reading(kind, mac_id)
        if credentials.cloud_id in self._asking:
            raise RuntimeError(
                f"{credentials.cloud_id} is being asked already: two requests at once freeze a gateway"
            )
        self._asking.add(credentials.cloud_id)
        try:
            status, found, body = await self._connections.post(headers, question, before_writing)
        except ON_THE_WIRE as exc:
            raise _relay_unavailable(exc, secrets) from None
        finally:
            self._asking.discard(credentials.cloud_id)
        return interpret(status, found, body, secrets, self._wordings)

    async def close(self) -> None:
        await self._connections.close()

    def _headers(self, credentials: Credentials) -> str:
        return (
            f"Cloud-Id: {_sendable('cloud id', credentials.cloud_id)}\r\n"
            f"User: {_sendable('user name', credentials.user_email)}\r\n"
            f"Password: {_sendable('password', credentials.user_pw)}\r\n"
            f"{self._same_headers}"
        )


def _sendable(what: str, text: str) -> str:
    """The text, which is sent as UTF-8. Raises Refused if no header carries it unchanged: older
    versions stored such texts."""
    try:
        return sendable(text)
    except ValueError as exc:
        message = f"the {what} cannot be sent: it {exc}. Correct it with `eagle-logger users add`."
        raise Refused(message) from None


def _relay_unavailable(wrong: Exception, secrets: tuple[str, ...]) -> RelayUnavailable:
    """Whatever goes wrong on the wire is the relay's, and passes.

    An error may quote what the relay sent, and that may be what it was sent; so it is redacted, and
    not to be chained.
    """
    detail = said(f"{type(wrong).__name__}: {wrong}", secrets)
    return RelayUnavailable(
        detail, reason="timed_out" if isinstance(wrong, TimeoutError) else "connection"
    )


def _tls(ca: Path | None) -> ssl.SSLContext:
    try:
        return resuming_context(ca)
    except OSError as exc:  # an SSLError is one too
        raise ConfigurationError(
            f"EAGLE_RELAY_CA: {ca} cannot be read as certificates in PEM: {exc}"
        ) from None
