"""Who sends a request: the peer of the connection or, behind a trusted proxy, the peer that the
proxy names."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MOST_PROXIES = 10
"""Addresses of X-Forwarded-For headers that are read, from the end."""


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Parse addresses and networks (`10.0.0.0/8`). Raises ValueError, which names a text that is
    neither."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def peer_of(connected: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """The sender's address, for the rate limit and the log.

    `connected` is the other end of the connection, `forwarded` the values of its X-Forwarded-For
    headers. Each proxy appends its client's address, so the list is read from its end, and only as
    far as trusted proxies wrote it. Anybody may have invented the addresses before those.
    """
    peer = connected
    named = [text.strip() for value in forwarded for text in value[-1000:].split(",")]
    for text in reversed(named[-MOST_PROXIES:]):
        address = _address(text)
        if address is None or not _is_trusted(peer, trusted):
            break
        peer = str(address)
    return peer


def _is_trusted(peer: str, trusted: Sequence[Network]) -> bool:
    address = _address(peer)
    return address is not None and any(address in network for network in trusted)


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return address if mapped is None else mapped
