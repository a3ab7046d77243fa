"""Which certificates are believed: the same on every CPython."""

from __future__ import annotations

import ssl
from datetime import timedelta
from pathlib import Path

import pytest

from eagle_logger.network.tls import client_context
from eagle_logger.rainforest.relay.tls_resumption import resuming_context
from tests.support.certificates import Authority, Issued


def shake_hands(authority: Authority | None, shown: Issued, directory: Path) -> None:
    """With clients that trust that authority; with None, the system's store."""
    bundle = None if authority is None else directory / "ca.pem"
    if bundle is not None and authority is not None:
        authority.write(bundle)
    server = shown.server_context()
    for client in (client_context(bundle), resuming_context(bundle)):
        there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
        one = client.wrap_bio(back, there, server_hostname="localhost")
        other = server.wrap_bio(there, back, server_side=True)
        for end in (one, other, one, other):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
        assert one.version() is not None


def test_a_certificate_as_private_authorities_made_them_for_years_is_believed(
    tmp_path: Path,
) -> None:
    """It has no Authority Key Identifier, and its authority no key usage: CPython 3.13's own
    contexts refuse it."""
    authority = Authority(old_fashioned=True)
    shown = authority.issue("localhost")
    assert "authorityKeyIdentifier" not in {one.oid._name for one in shown.certificate.extensions}
    shake_hands(authority, shown, tmp_path)


def test_a_refused_certificate_is_refused_in_words(tmp_path: Path) -> None:
    authority = Authority()
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate has expired"):
        shake_hands(authority, authority.issue("localhost", end=-timedelta(hours=1)), tmp_path)
    with pytest.raises(
        ssl.SSLCertVerificationError, match="certificate is not valid for 'localhost'"
    ):
        shake_hands(authority, authority.issue("relay.example"), tmp_path)
    with pytest.raises(
        ssl.SSLCertVerificationError, match="unable to get local issuer certificate"
    ):
        shake_hands(None, authority.issue("localhost"), tmp_path)


def test_every_tls_context_makes_the_same_demands() -> None:
    for context in (client_context(), resuming_context(None)):
        assert context.verify_flags == ssl.VERIFY_X509_TRUSTED_FIRST
        assert context.check_hostname
        assert context.verify_mode == ssl.CERT_REQUIRED
