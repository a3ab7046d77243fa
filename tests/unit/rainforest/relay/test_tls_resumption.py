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


class Watch:
    now = 1000.0


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    one = Watch()
    monkeypatch.setattr(tls_resumption, "monotonic", lambda: one.now)
    return one


@pytest.fixture
def ends(tmp_path: Path) -> tuple[Client, Server]:
    authority, bundle = Authority(), tmp_path / "ca.pem"
    bundle.write_bytes(authority.pem)
    return resuming_context(bundle), authority.issue("localhost").server_context()


def begun(client: Client) -> ssl.SSLObject:
    """A connection that says hello and hears nothing."""
    outgoing = ssl.MemoryBIO()
    one = client.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        one.do_handshake()
    assert outgoing.pending
    return one


def is_resumed(client: Client, server: Server) -> bool:
    """Open a connection, read something from it and drop it. Whether it resumed a session."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(back, there, server_hostname="localhost")
    other = server.wrap_bio(there, back, server_side=True)
    done = [_done(end.do_handshake) for _ in range(4) for end in (one, other)]
    assert done[-2:] == [True, True]
    other.write(b"a reply")
    assert one.read() == b"a reply"
    return bool(one.session_reused)


def _done(step: Callable[[], None]) -> bool:
    try:
        step()
    except ssl.SSLWantReadError:
        return False
    return True


def test_the_last_session_is_taken_up_again(ends: tuple[Client, Server], watch: Watch) -> None:
    assert [is_resumed(*ends) for _ in range(3)] == [False, True, True]
    watch.now += 2 * SESSION_AWAITED_FOR_S
    assert is_resumed(*ends)


def test_connections_that_are_slow_to_shake_hands_do_not_hide_a_session(
    ends: tuple[Client, Server], watch: Watch
) -> None:
    slow = begun(ends[0])
    assert not is_resumed(*ends)
    watch.now += SESSION_AWAITED_FOR_S
    assert [is_resumed(*ends) for _ in range(2)] == [False, True]
    assert slow.version() is None


def test_a_server_that_cannot_bear_it_is_left_in_peace_for_a_while(
    ends: tuple[Client, Server], watch: Watch
) -> None:
    client, server = ends
    assert [is_resumed(client, server) for _ in range(2)] == [False, True]
    is_resumed(client, server)
    refused = begun(client)
    watch.now += SESSION_AWAITED_FOR_S
    assert [is_resumed(client, server) for _ in range(3)] == [False, False, False]
    watch.now += NO_RESUMPTION_FOR_S
    assert is_resumed(client, server)
    assert refused.version() is None
