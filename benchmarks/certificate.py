"""Certificates for 127.0.0.1 that nobody but a benchmark trusts: as a public authority issues them,
RSA with 2048 bits throughout, an intermediate authority between the root and the server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import IPv4Address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

_new_key = partial(rsa.generate_private_key, public_exponent=65_537, key_size=2048)


def certificates() -> tuple[bytes, bytes]:
    """What a server shows, its certificate, the intermediate's and its key; and the root to trust.
    PEM."""
    root_key, authority_key, key = _new_key(), _new_key(), _new_key()
    root_name, authority_name = _name("root"), _name("authority")
    root = _certificate(root_name, root_key.public_key(), root_name, root_key, is_authority=True)
    authority = _certificate(
        authority_name, authority_key.public_key(), root_name, root_key, is_authority=True
    )
    server = _certificate(
        _name("relay"), key.public_key(), authority_name, authority_key, is_authority=False
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return server + authority + private, root


def _name(what: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"benchmark {what}")])


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _certificate(
    subject: x509.Name,
    public: rsa.RSAPublicKey,
    issuer: x509.Name,
    signer: rsa.RSAPrivateKey,
    *,
    is_authority: bool,
) -> bytes:
    now, constraints = datetime.now(UTC), x509.BasicConstraints(ca=is_authority, path_length=None)
    names = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(constraints, critical=True)
        .add_extension(_usage(is_authority=is_authority), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    made = made if is_authority else made.add_extension(names, critical=False)
    return made.sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM)
