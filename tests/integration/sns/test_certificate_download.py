"""The download of a certificate, over TLS from a host on loopback."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Sequence

import pytest
from aiohttp import web

from eagle_logger.sns import certificate_download
from eagle_logger.sns.certificate_download import CertificateDownload
from eagle_logger.sns.refusals import CertificateUnavailable, MessageRefused, Reason
from tests.support.certificates import Authority
from tests.support.fake_sns import HOST, FakeSns, LoopbackResolver, serve_certificates
from tests.support.polling import PATIENCE_S

URL = f"https://{HOST}/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
AUTHORITY = Authority()
SERVER = AUTHORITY.issue(HOST)


async def download(responses: Sequence[web.StreamResponse] | web.Application) -> bytes:
    async with serve_certificates(SERVER, responses) as resolver:
        try:
            return await CertificateDownload(resolver=resolver, tls=AUTHORITY.client_context())(URL)
        finally:
            assert resolver.asked == [HOST]


async def test_a_certificate_is_fetched() -> None:
    pem = FakeSns().signer.pem
    assert await download([web.Response(body=pem)]) == pem


async def test_no_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert await download([web.Response(body=b"pem")]) == b"pem"


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (
            web.Response(status=302, headers={"Location": "https://evil.example/"}),
            Reason.CERTIFICATE_REDIRECT,
        ),
        (web.Response(status=307, headers={"Location": URL}), Reason.CERTIFICATE_REDIRECT),
        (web.Response(status=404), Reason.CERTIFICATE_MISSING),
        (web.Response(status=403), Reason.CERTIFICATE_MISSING),
        (web.Response(body=b"x" * (16 * 1024 + 1)), Reason.CERTIFICATE_TOO_LARGE),
        (web.Response(body=b"x" * 5_000_000), Reason.CERTIFICATE_TOO_LARGE),
    ],
    ids=["redirect away", "redirect home", "missing", "forbidden", "a byte too long", "5 MB"],
)
async def test_a_response_that_will_stay_wrong_is_refused_for_good(
    response: web.Response, reason: Reason
) -> None:
    with pytest.raises(MessageRefused) as refused:
        await download([response])
    assert refused.value.reason is reason


async def test_a_certificate_is_not_decompressed() -> None:
    packed = gzip.compress(b"x" * 10_000_000)
    assert len(packed) < 16 * 1024
    assert (
        await download([web.Response(body=packed, headers={"Content-Encoding": "gzip"})]) == packed
    )


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_a_response_that_may_change_is_no_refusal(status: int) -> None:
    with pytest.raises(CertificateUnavailable):
        await download([web.Response(status=status)])


async def test_a_host_without_a_trusted_certificate_is_not_asked() -> None:
    for certificate in (
        Authority().issue("sns.eu-west-1.amazonaws.com"),
        FakeSns().authority.issue("evil.example"),
    ):
        async with serve_certificates(certificate, [web.Response(body=b"pem")]) as resolver:
            with pytest.raises(CertificateUnavailable):
                await CertificateDownload(resolver=resolver, tls=AUTHORITY.client_context())(URL)


async def test_a_host_that_sends_byte_by_byte_is_left_after_the_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(certificate_download, "TIMEOUT_S", 1.0)
    gone = asyncio.Event()

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x")
                await asyncio.sleep(0.02)
        finally:
            gone.set()

    application = web.Application()
    application.router.add_get("/{path:.*}", drip)
    with pytest.raises(CertificateUnavailable):
        await asyncio.wait_for(download(application), PATIENCE_S)
    assert gone.is_set()


async def test_a_host_that_does_not_listen_is_unavailable() -> None:
    with pytest.raises(CertificateUnavailable):
        await CertificateDownload(resolver=LoopbackResolver(9), tls=AUTHORITY.client_context())(URL)
