"""TLS to servers, with the same demands on certificates in every version of Python."""

from __future__ import annotations

import ssl
from pathlib import Path

VERIFY_FLAGS = ssl.VERIFY_X509_TRUSTED_FIRST
"""A chain must end at a trusted root, and all its certificates must be in date. Their form does not
matter.

CPython 3.13 turned VERIFY_X509_STRICT on. It refuses certificates that private authorities have
issued for years, without Authority Key Identifier or key usage, so an upgrade of Python would stop
a fleet. botocore never turned it on. CPython 3.13 also accepts an intermediate authority as a root
(VERIFY_X509_PARTIAL_CHAIN), which older versions do not."""


def client_context(
    ca: Path | None = None, of: type[ssl.SSLContext] = ssl.SSLContext
) -> ssl.SSLContext:
    """A context of class `of` that checks the server's name. It trusts the PEM bundle `ca`, or the
    system's store without one. Raises OSError for a bad `ca`."""
    context = of(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags = VERIFY_FLAGS
    if ca is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        context.load_verify_locations(ca)
    return context
