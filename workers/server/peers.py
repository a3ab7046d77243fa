"""Who sends a request: the peer of the connection or, behind a trusted proxy, the peer that the
proxy names."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_PROXIES = 10
"""How many addresses of X-Forwarded-For headers are read, from the end."""


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Parse addresses and networks (`10.0.0.0/8`). Raises ValueError, which names a text that is
    neither."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def peer_of(connected: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """The sender's address, for the rate limit and the log.

    `connected` is the other end of the connection, `forwarded` the values of its X-Forwarded-For
    headers. Each proxy appends its client's address. So the list is read from its end, and only as
    far as trusted proxies wrote it; the sender may have invented the addresses before those.
    """
    peer = connected
    entries = [entry.strip() for value in forwarded for entry in value[-1000:].split(",")]
    for entry in reversed(entries[-MAX_PROXIES:]):
        address = _parse_address(entry)
        if address is None or not _is_trusted(peer, trusted):
            break
        peer = str(address)
    return peer


def _is_trusted(peer: str, trusted: Sequence[Network]) -> bool:
    address = _parse_address(peer)
    return address is not None and any(address in network for network in trusted)


def _parse_address(text: str) -> Address | None:
    """An IPv4 address that is written as an IPv6 one (`::ffff:10.0.0.1`) becomes IPv4."""
    try:
        address = ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return address if mapped is None else mapped
