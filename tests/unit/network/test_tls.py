"""Which certificates are trusted: the same ones in every version of Python."""

from __future__ import annotations

import ssl
from datetime import timedelta
from pathlib import Path

import pytest

from eagle_logger.network.tls import client_context
from eagle_logger.rainforest.relay.tls_resumption import resuming_context
from tests.support.certificates import Authority, Issued


def shake_hands(authority: Authority | None, issued: Issued, directory: Path) -> None:
    """Between a server with that certificate and each of our clients, which trust that authority;
    with None, the system's store."""
    bundle = None if authority is None else authority.write(directory / "ca.pem")
    server_context = issued.server_context()
    for client_tls in (client_context(bundle), resuming_context(bundle)):
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = client_tls.wrap_bio(to_client, to_server, server_hostname="localhost")
        server = server_context.wrap_bio(to_server, to_client, server_side=True)
        for end in (client, server, client, server):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
        assert client.version() is not None


def test_a_certificate_without_the_extensions_that_python_3_13_wants_is_trusted(
    tmp_path: Path,
) -> None:
    """Private authorities issued such certificates for years: without an Authority Key Identifier,
    and without a key usage of the authority."""
    authority = Authority(old_fashioned=True)
    issued = authority.issue("localhost")
    names = {extension.oid._name for extension in issued.certificate.extensions}
    assert "authorityKeyIdentifier" not in names
    shake_hands(authority, issued, tmp_path)


def test_the_error_says_why_a_certificate_is_refused(tmp_path: Path) -> None:
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
