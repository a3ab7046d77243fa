"""TLS sessions, between two ends that are joined in memory."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from eagle_logger.rainforest.relay import tls_resumption
from eagle_logger.rainforest.relay.tls_resumption import (
    NO_RESUMPTION_FOR_S,
    SESSION_AWAITED_FOR_S,
    resuming_context,
)
from tests.support.certificates import Authority

Server = ssl.SSLContext
Client = ssl.SSLContext


class HandMonotonic:
    now = 1000.0


@pytest.fixture
def monotonic(monkeypatch: pytest.MonkeyPatch) -> HandMonotonic:
    clock = HandMonotonic()
    monkeypatch.setattr(tls_resumption, "monotonic", lambda: clock.now)
    return clock


@pytest.fixture
def ends(tmp_path: Path) -> tuple[Client, Server]:
    authority, bundle = Authority(), tmp_path / "ca.pem"
    bundle.write_bytes(authority.pem)
    return resuming_context(bundle), authority.issue("localhost").server_context()


def start_handshake(client: Client) -> ssl.SSLObject:
    """A connection that began its handshake and gets no answer."""
    outgoing = ssl.MemoryBIO()
    connection = client.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        connection.do_handshake()
    assert outgoing.pending
    return connection


def is_resumed(client: Client, server: Server) -> bool:
    """Open a connection, read something from it and drop it. Whether it resumed a session."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_end = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    server_end = server.wrap_bio(to_server, to_client, server_side=True)
    ended = [_has_ended(end.do_handshake) for _ in range(4) for end in (client_end, server_end)]
    assert ended[-2:] == [True, True]
    server_end.write(b"a reply")
    assert client_end.read() == b"a reply"
    return bool(client_end.session_reused)


def _has_ended(step: Callable[[], None]) -> bool:
    try:
        step()
    except ssl.SSLWantReadError:
        return False
    return True


def test_the_last_session_is_resumed(ends: tuple[Client, Server], monotonic: HandMonotonic) -> None:
    assert [is_resumed(*ends) for _ in range(3)] == [False, True, True]
    monotonic.now += 2 * SESSION_AWAITED_FOR_S
    assert is_resumed(*ends)


def test_a_slow_handshake_does_not_hide_a_later_session_for_long(
    ends: tuple[Client, Server], monotonic: HandMonotonic
) -> None:
    slow = start_handshake(ends[0])
    assert not is_resumed(*ends)
    monotonic.now += SESSION_AWAITED_FOR_S
    assert [is_resumed(*ends) for _ in range(2)] == [False, True]
    assert slow.version() is None


def test_after_a_resumption_that_hangs_no_session_is_offered_for_a_while(
    ends: tuple[Client, Server], monotonic: HandMonotonic
) -> None:
    client, server = ends
    assert [is_resumed(client, server) for _ in range(2)] == [False, True]
    is_resumed(client, server)
    refused = start_handshake(client)
    monotonic.now += SESSION_AWAITED_FOR_S
    assert [is_resumed(client, server) for _ in range(3)] == [False, False, False]
    monotonic.now += NO_RESUMPTION_FOR_S
    assert is_resumed(client, server)
    assert refused.version() is None
