from __future__ import annotations

import asyncio
import uuid

import pytest

from eagle_logger.sns.certificate_cache import CertificateCache
from eagle_logger.sns.refusals import CertificateUnavailable, MessageRefused, Reason
from tests.support.fake_sns import HOST, FakeSns


class HandMonotonic:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def random_url() -> str:
    return f"https://{HOST}/SimpleNotificationService-{uuid.uuid4().hex}.pem"


async def test_concurrent_messages_with_one_certificate_fetch_it_once() -> None:
    sns = FakeSns()
    cache = CertificateCache(sns.fetch_certificate)
    certificates = await asyncio.gather(*(cache.get(sns.certificate_url) for _ in range(100)))
    assert await cache.get(sns.certificate_url) is certificates[0]
    assert sns.fetched == [sns.certificate_url]


async def test_fetches_are_rationed() -> None:
    sns, monotonic = FakeSns(), HandMonotonic()
    cache = CertificateCache(sns.fetch_certificate, monotonic=monotonic)
    await cache.get(sns.certificate_url)
    results = await asyncio.gather(
        *(cache.get(random_url()) for _ in range(500)), return_exceptions=True
    )
    assert len(sns.fetched) == 10
    assert {result.reason for result in results if isinstance(result, MessageRefused)} == {
        Reason.CERTIFICATE_MISSING
    }
    assert sum(isinstance(result, CertificateUnavailable) for result in results) == 491
    assert await cache.get(sns.certificate_url)
    monotonic.now += 60
    await asyncio.gather(*(cache.get(random_url()) for _ in range(500)), return_exceptions=True)
    assert len(sns.fetched) == 20


async def test_a_url_without_a_certificate_is_not_fetched_again_for_five_minutes() -> None:
    sns, monotonic = FakeSns(), HandMonotonic()
    cache, url = CertificateCache(sns.fetch_certificate, monotonic=monotonic), random_url()
    for pause in (0, 299, 2):
        monotonic.now += pause
        with pytest.raises(MessageRefused):
            await cache.get(url)
    assert sns.fetched == [url, url]


async def test_only_the_last_sixteen_certificates_are_kept() -> None:
    sns, monotonic = FakeSns(), HandMonotonic()
    cache = CertificateCache(sns.fetch_certificate, monotonic=monotonic)
    urls = [sns.publish_certificate(sns.signer) for _ in range(40)]
    for url in urls:
        monotonic.now += 2
        await cache.get(url)
    for url in reversed(urls[-16:]):
        await cache.get(url)
    assert sns.fetched == urls
    monotonic.now += 2
    await cache.get(urls[0])
    assert sns.fetched == [*urls, urls[0]]


async def test_a_cancelled_message_does_not_cancel_the_fetch_that_others_wait_for() -> None:
    sns, gate = FakeSns(), asyncio.Event()

    async def slow(url: str) -> bytes:
        await gate.wait()
        return await sns.fetch_certificate(url)

    cache = CertificateCache(slow)
    impatient = asyncio.create_task(cache.get(sns.certificate_url))
    patient = asyncio.create_task(cache.get(sns.certificate_url))
    await asyncio.sleep(0)
    impatient.cancel()
    gate.set()
    assert await patient
    assert impatient.cancelled()
    assert sns.fetched == [sns.certificate_url]
