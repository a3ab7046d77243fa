"""TLS that resumes its last session: where the relay closes after every reply, each request begins
with a handshake.

This module overrides an inner part of Python's asyncio and ssl:

- **Which:** `SSLContext.wrap_bio`, which asyncio and uvloop call for each connection. Neither has a
  documented way to pass a session.
- **Why, and what it saves:** a resumed session needs no certificates, which spares a tenth of this
  program's CPU and a quarter of the relay's where the relay closes after every reply
  (docs/explanation/performance.md).
- **When it breaks:** `tests/canaries/test_ssl_wrap_bio.py` shows whether a new Python or uvloop
  still calls it. It fails softly: if nobody calls `wrap_bio`, every handshake is a whole one. If
  calling it raises, let `resuming_context` return `client_context(ca)` and delete the class.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from time import monotonic

from eagle_logger.network.tls import client_context

SESSION_AWAITED_FOR_S = 10.0
"""A connection that gave no session for so long is no longer watched for one."""

NO_RESUMPTION_FOR_S = 600.0
"""How long no session is offered after a handshake that offered one and did not end. Some server
may fail on them."""


def resuming_context(ca: Path | None) -> ssl.SSLContext:
    """A context for connections to one server.

    It verifies as `client_context` does: against the system's certificates, or those in the PEM
    bundle `ca`. A resumed session was verified when it began. Raises OSError for a bad `ca`.
    """
    return client_context(ca, of=_ResumingContext)


class _ResumingContext(ssl.SSLContext):
    """Offers the session of an earlier connection in each new handshake.

    With TLS 1.3 a server sends the session some time after the handshake, and Python calls nobody
    then. So the context watches one connection at a time, and looks for its session whenever it
    wraps the next one.
    """

    _watched: ssl.SSLObject | None = None
    _watched_until: float = 0.0
    _session: ssl.SSLSession | None = None
    _no_resumption_before: float = 0.0

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
        if session is None and now >= self._no_resumption_before:
            session = self._session
        connection = super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        if self._watched is None:
            self._watched, self._watched_until = connection, now + SESSION_AWAITED_FOR_S
        return connection

    def _look_for_session(self, now: float) -> None:
        watched = self._watched
        if watched is None:
            return
        version = watched.version()
        shakes_hands = version is None
        session = None if shakes_hands else watched.session
        if session is not None and (session.has_ticket or version != "TLSv1.3"):
            self._session, self._watched = session, None
        elif now >= self._watched_until:
            self._watched = None
            if shakes_hands and self._session is not None:
                self._session, self._no_resumption_before = None, now + NO_RESUMPTION_FOR_S
