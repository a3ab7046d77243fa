from __future__ import annotations

import pytest

from workers.server.peers import parse_networks, peer_of

PROXIES = parse_networks(["10.0.0.0/8", "2001:db8::1"])


@pytest.mark.parametrize(
    ("connected", "forwarded", "peer"),
    [
        ("192.0.2.9", ["198.51.100.1"], "192.0.2.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.2.3.4, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.2.3.4", "198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1, nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["nonsense, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("2001:db8::1", ["[2001:db8::5]"], "2001:db8::5"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("", ["198.51.100.1"], ""),
        ("10.0.0.1", ["198.51.100.1, " + "10.0.0.2, " * 5000 + "10.0.0.3"], "10.0.0.2"),
    ],
)
def test_the_peer_is_the_first_address_that_no_trusted_proxy_wrote(
    connected: str, forwarded: list[str], peer: str
) -> None:
    assert peer_of(connected, forwarded, PROXIES) == peer


def test_without_trusted_proxies_the_sender_is_the_peer_of_the_connection() -> None:
    assert peer_of("10.0.0.1", ["198.51.100.1"], ()) == "10.0.0.1"


def test_a_proxy_that_is_not_an_address_is_refused() -> None:
    with pytest.raises(ValueError, match="proxy"):
        parse_networks(["10.0.0.1", "proxy.example.org"])
