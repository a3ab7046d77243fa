"""Ports on loopback for the programs that `up` starts."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit


def port_of(url: str | None) -> int:
    """The port that a URL names; 0 if it names none."""
    try:
        return urlsplit(url).port or 0 if url else 0
    except ValueError:
        return 0


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port(preferred: int = 0) -> int:
    """A port of 127.0.0.1 that is free now: the preferred one if it is free, else one that this
    process has not chosen before.

    A chosen port stays free until its program starts, so the kernel might offer it twice.
    """
    port = preferred if preferred and is_free(preferred) else _any_free_port()
    while port != preferred and port in _chosen:
        port = _any_free_port()
    _chosen.add(port)
    return port


_chosen: set[int] = set()


def _any_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
