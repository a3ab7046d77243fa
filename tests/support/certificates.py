"""A certificate authority that only a test or a benchmark trusts, and what it issues."""

from __future__ import annotations

import ipaddress
import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


@cache
def rsa_key(name: str) -> rsa.RSAPrivateKey:
    """One key per name and test run, because making one takes a tenth of a second."""
    del name
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass(frozen=True)
class Issued:
    certificate: x509.Certificate
    key: Any

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return bytes(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    def server_context(self) -> ssl.SSLContext:
        """For a server that shows this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile(suffix=".pem") as file:
            file.write(self.key_pem + self.pem)
            file.flush()
            context.load_cert_chain(file.name)
        return context


class Authority:
    """A root authority, or one that `parent` vouches for. Authorities of one name share their key.

    What an `old_fashioned` one issues has no key identifiers, and it names no key usage itself.
    """

    def __init__(
        self,
        name: str = "Test authority",
        parent: Authority | None = None,
        *,
        old_fashioned: bool = False,
    ) -> None:
        self._old_fashioned = old_fashioned
        self._key = rsa_key(name)
        self._name = _common_name(name)
        signer = parent or self
        builder = signer._builder(self._name, self._key, timedelta(days=-1), timedelta(days=2))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        if not old_fashioned:
            builder = builder.add_extension(_SIGNS_CERTIFICATES, True)
        self._certificate = builder.sign(signer._key, hashes.SHA256())

    @property
    def pem(self) -> bytes:
        """What a client needs to trust this authority."""
        return self._certificate.public_bytes(Encoding.PEM)

    def write(self, file: Path) -> Path:
        file.write_bytes(self.pem)
        return file

    def client_context(self) -> ssl.SSLContext:
        """For a client that trusts this authority and no other."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self.pem.decode())
        return context

    def issue(
        self,
        *names: str,
        common_name: str | None = None,
        start: timedelta = timedelta(days=-1),
        end: timedelta = timedelta(days=1),
        key: Any = None,
    ) -> Issued:
        """A server's certificate for these hosts or addresses (none: only the common name), valid
        from `start` to `end` as seen from now."""
        key = key or rsa_key("leaf")
        builder = self._builder(_common_name(common_name or names[0]), key, start, end)
        if names:
            alternative = x509.SubjectAlternativeName([_general_name(name) for name in names])
            builder = builder.add_extension(alternative, False)
        return Issued(builder.sign(self._key, hashes.SHA256()), key)

    def _builder(
        self, subject: x509.Name, key: Any, start: timedelta, end: timedelta
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + start)
            .not_valid_after(now + end)
        )
        if self._old_fashioned:
            return builder
        # CPython 3.13's own contexts trust no certificate without these two.
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return builder.add_extension(identifier, False).add_extension(issuer, False)


_SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=True,
    key_cert_sign=True,
    crl_sign=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
