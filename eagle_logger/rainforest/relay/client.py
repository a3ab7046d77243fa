"""The relay client: at most one request at a time to each gateway, many gateways at once, on one
event loop."""

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
from eagle_logger.rainforest.decoding.redaction import redacted_detail
from eagle_logger.rainforest.decoding.reply import interpret
from eagle_logger.rainforest.relay.connections import TRANSPORT_ERRORS, Connections
from eagle_logger.rainforest.relay.requests import reading_request
from eagle_logger.rainforest.relay.tls_resumption import resuming_context
from eagle_logger.rainforest.source import Decoded

_UNSAFE_IN_HEADER = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class RelayClient:
    """Asks gateways for readings through Rainforest's relay.

    Make it on the event loop that uses it, and `close` it there. `user_agent` tells the relay which
    process asks. `connect_timeout` (seconds) bounds name look-up, connection and TLS together; the
    caller sets the deadline of the whole request, and bounds how many gateways are asked at once.
    `ca` is a bundle in PEM that is trusted instead of the system's certificates. Raises
    ConfigurationError for a bad `ca` or `user_agent`.
    """

    def __init__(
        self,
        url: str,
        *,
        user_agent: str,
        connect_timeout: float,
        ca: Path | None = None,
    ) -> None:
        if _UNSAFE_IN_HEADER.search(user_agent):
            raise ConfigurationError(f"EAGLE_PROCESS_NAME: no header can carry {user_agent!r}")
        self._gateways_being_asked: set[str] = set()
        self._connections = Connections(
            url,
            _tls_context(ca),
            connect_timeout=connect_timeout,
            largest_body=LARGEST_BODY,
        )
        self._common_headers = (
            "Content-Type: text/xml\r\n"
            f"User-Agent: {user_agent}\r\n"
            "Accept: */*\r\n"
            "Accept-Encoding: identity\r\n"
        )

    async def ask(
        self,
        credentials: Credentials,
        kind: Kind,
        mac_id: str | None = None,
        before_writing: Callable[[], None] = lambda: None,
    ) -> Decoded:
        """See `source.ReadingSource`.

        Also raises RuntimeError if this gateway is already being asked: the caller's mistake.
        """
        secrets = (credentials.user_pw, credentials.user_email)
        headers, body = self._headers(credentials), reading_request(kind, mac_id)
        if credentials.cloud_id in self._gateways_being_asked:
            raise RuntimeError(
                f"{credentials.cloud_id} is already being asked: "
                "two requests at once freeze a gateway"
            )
        self._gateways_being_asked.add(credentials.cloud_id)
        try:
            reply = await self._connections.post(headers, body, before_writing)
        except TRANSPORT_ERRORS as exc:
            raise _relay_unavailable(exc, secrets) from None
        finally:
            self._gateways_being_asked.discard(credentials.cloud_id)
        return interpret(*reply, secrets)

    async def close(self) -> None:
        await self._connections.close()

    def _headers(self, credentials: Credentials) -> str:
        return (
            f"Cloud-Id: {_header_value('cloud id', credentials.cloud_id)}\r\n"
            f"User: {_header_value('user name', credentials.user_email)}\r\n"
            f"Password: {_header_value('password', credentials.user_pw)}\r\n"
            f"{self._common_headers}"
        )


def _header_value(name: str, text: str) -> str:
    """The text, which is sent as UTF-8.

    Raises Refused if no header carries it unchanged. Such credentials may be in Redis, because
    older versions stored them.
    """
    try:
        return sendable(text)
    except ValueError as exc:
        message = f"the {name} cannot be sent: it {exc}. Correct it with `eagle-logger users add`."
        raise Refused(message) from None


def _relay_unavailable(exc: Exception, secrets: tuple[str, ...]) -> RelayUnavailable:
    """A transport error is the relay's trouble, so the request is worth repeating.

    The error may quote what the relay sent, and the relay may send back what it was sent. So its
    text is redacted, and the caller must not chain it.
    """
    detail = redacted_detail(f"{type(exc).__name__}: {exc}", secrets)
    reason = "timed_out" if isinstance(exc, TimeoutError) else "connection"
    return RelayUnavailable(detail, reason=reason)


def _tls_context(ca: Path | None) -> ssl.SSLContext:
    try:
        return resuming_context(ca)
    except OSError as exc:  # an SSLError is one too
        raise ConfigurationError(
            f"EAGLE_RELAY_CA: {ca} cannot be read as certificates in PEM: {exc}"
        ) from None
