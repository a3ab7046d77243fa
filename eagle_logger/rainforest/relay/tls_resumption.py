"""TLS that takes up its last session again: a relay that closes after every reply has a handshake
come before each request.

That spares both sides the certificates, a tenth of our CPU and a fourth of the relay's
(docs/explanation/performance.md).
"""

from __future__ import annotations

import ssl
from pathlib import Path
from time import monotonic

from eagle_logger.network.tls import client_context

WATCHED = 10.0
"""Seconds after which a connection that gave no session is given up as a source of one."""
UNBEARABLE = 600.0
"""Seconds: if a connection that offered a session did not even shake hands, none is offered for so
long. There may be servers that cannot bear it."""


def resuming_context(ca: Path | None) -> ssl.SSLContext:
    """A context for one server. It verifies as `client_context` does, against the system's store or
    the PEM bundle `ca`. A resumed session was verified when it began. Raises OSError for a bad
    `ca`."""
    return client_context(ca, of=_ResumingContext)


class _ResumingContext(ssl.SSLContext):
    """asyncio has no way to hand in a session, but asks its context for each connection's TLS. The
    session can be had only some time after the handshake (TLS 1.3 sends it behind), so one
    connection at a time is watched for it."""

    _watched: ssl.SSLObject | None = None
    _until: float = 0.0
    _session: ssl.SSLSession | None = None
    _not_before: float = 0.0

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        now = monotonic()
        self._look_for_session(now)
        if session is None and now >= self._not_before:
            session = self._session
        made = super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        if self._watched is None:
            self._watched, self._until = made, now + WATCHED
        return made

    def _look_for_session(self, now: float) -> None:
        watched = self._watched
        if watched is None:
            return
        version = watched.version()  # None: it is shaking hands yet
        found = watched.session if version is not None else None
        if found is not None and (found.has_ticket or version != "TLSv1.3"):
            self._session, self._watched = found, None
        elif now >= self._until:
            self._watched = None
            if version is None and self._session is not None:
                self._session, self._not_before = None, now + UNBEARABLE
