"""TLS that takes up its last session again: a relay that closes after every reply has a handshake come before each request.

That spares both sides the certificates, a tenth of our CPU and a fourth of the relay's (docs/explanation/performance.md).
"""

from __future__ import annotations

import ssl
from pathlib import Path
from time import monotonic

WATCHED = 10.0
"""Seconds after which a connection that gave no session is given up as a source of one."""


def resuming_context(ca: Path | None) -> ssl.SSLContext:
    """For one server. Verifies as Python's default context does, against the system's store or the PEM bundle `ca`; a session
    that is taken up was verified when it began. Raises OSError for a bad `ca`."""
    default = ssl.create_default_context(cafile=None if ca is None else str(ca))
    context = _ResumingContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags = default.verify_flags
    if ca is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        context.load_verify_locations(ca)
    return context


class _ResumingContext(ssl.SSLContext):
    """asyncio has no way to hand in a session, but asks its context for each connection's TLS. The session can be had only some
    time after the handshake (TLS 1.3 sends it behind), so one connection at a time is watched for it."""

    _watched: ssl.SSLObject | None = None
    _since = 0.0
    _session: ssl.SSLSession | None = None

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        self._look_for_session()
        made = super().wrap_bio(incoming, outgoing, server_side, server_hostname, session or self._session)
        now = monotonic()
        if self._watched is None or now > self._since + WATCHED:
            self._watched, self._since = made, now
        return made

    def _look_for_session(self) -> None:
        watched = self._watched
        if watched is None or watched.version() is None:  # it is shaking hands yet
            return
        found = watched.session
        if found is not None and (found.has_ticket or watched.version() != "TLSv1.3"):
            self._session, self._watched = found, None
