"""Ports on loopback for what is started here."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit


def port_of(url: str | None) -> int:
    """The port that a URL names; 0 if none."""
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
    """A port of 127.0.0.1 that is free now: the preferred one if it is."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", preferred if preferred and is_free(preferred) else 0))
        return int(probe.getsockname()[1])
