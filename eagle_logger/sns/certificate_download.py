"""Downloads a signing certificate, and nothing else."""

from __future__ import annotations

import ssl
from typing import Protocol

import aiohttp
from aiohttp.abc import AbstractResolver

from eagle_logger.network.tls import client_context
from eagle_logger.sns.refusals import CertificateUnavailable, MessageRefused, Reason

MAX_BYTES = 16 * 1024
TIMEOUT_S = 5.0
"""For the whole download, name look-up included."""


class _Content(Protocol):
    async def read(self, n: int, /) -> bytes: ...


class CertificateDownload:
    """Call it with a checked URL. It follows no redirect, uses no proxy, decompresses nothing, and
    stops after 16 KiB or 5 seconds.

    `resolver` and `tls` are for tests: how the host is looked up, and which certificates are
    trusted (by default the system's).
    """

    def __init__(
        self, *, resolver: AbstractResolver | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self._resolver = resolver
        self._tls = tls or client_context()

    async def __call__(self, url: str) -> bytes:
        """Raises MessageRefused for what will be the same next time, CertificateUnavailable for
        what may not."""
        try:
            async with (
                self._session() as session,
                session.get(url, allow_redirects=False) as response,
            ):
                _check_status(response.status)
                return await _read_at_most(response.content, MAX_BYTES)
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise CertificateUnavailable(
                f"the signing certificate could not be fetched: {type(exc).__name__}"
            ) from exc

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=self._resolver, ssl=self._tls, force_close=True
            ),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept-Encoding": "identity"},
            auto_decompress=False,
            trust_env=False,
        )


def _check_status(status: int) -> None:
    if 300 <= status < 400:
        raise MessageRefused(
            Reason.CERTIFICATE_REDIRECT,
            "the certificate's host redirects, and redirects are not followed",
        )
    if status in (408, 429) or status >= 500:
        raise CertificateUnavailable(f"the certificate's host answered {status}")
    if status != 200:
        raise MessageRefused(
            Reason.CERTIFICATE_MISSING, f"there is no such certificate (status {status})"
        )


async def _read_at_most(content: _Content, limit: int) -> bytes:
    body = bytearray()
    while chunk := await content.read(limit + 1 - len(body)):
        body += chunk
        if len(body) > limit:
            raise MessageRefused(
                Reason.CERTIFICATE_TOO_LARGE, f"a certificate is at most {limit} bytes"
            )
    return bytes(body)
