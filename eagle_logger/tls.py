"""TLS to servers: what a certificate must be, the same on every CPython."""

from __future__ import annotations

import ssl
from pathlib import Path

VERIFY_FLAGS = ssl.VERIFY_X509_TRUSTED_FIRST
"""A chain must end at a root that is trusted, and all of it must be in date. Form is not judged. CPython 3.13 turned
VERIFY_X509_STRICT on, which refuses what private authorities made for years (no Authority Key Identifier, no key usage):
an upgrade of Python would stop a fleet over that. botocore, which speaks to S3, never turned it on. 3.13 also takes an
authority between root and server for a root (VERIFY_X509_PARTIAL_CHAIN), which no older one does."""


def client_context(ca: Path | None = None, of: type[ssl.SSLContext] = ssl.SSLContext) -> ssl.SSLContext:
    """Trusts the PEM bundle `ca`, else the system's store, and asks for the server's name. Raises OSError for a bad `ca`."""
    context = of(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags = VERIFY_FLAGS
    if ca is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        context.load_verify_locations(ca)
    return context
