from __future__ import annotations

import asyncio
import uuid

import pytest

from eagle_logger.sns.certificate_cache import CertificateCache
from eagle_logger.sns.refusals import CertificateUnavailable, MessageRefused, Reason
from tests.support.fake_sns import HOST, FakeSns


class Watch:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def random_url() -> str:
    return f"https://{HOST}/SimpleNotificationService-{uuid.uuid4().hex}.pem"


async def test_a_certificate_is_fetched_once() -> None:
    sns = FakeSns()
    keyring = CertificateCache(sns.fetch_certificate)
    found = await asyncio.gather(*(keyring.get(sns.certificate_url) for _ in range(100)))
    assert await keyring.get(sns.certificate_url) is found[0]
    assert sns.fetched == [sns.certificate_url]


async def test_fetches_are_rationed() -> None:
    sns, watch = FakeSns(), Watch()
    keyring = CertificateCache(sns.fetch_certificate, monotonic=watch)
    await keyring.get(sns.certificate_url)
    results = await asyncio.gather(
        *(keyring.get(random_url()) for _ in range(500)), return_exceptions=True
    )
    assert len(sns.fetched) == 10
    assert {result.reason for result in results if isinstance(result, MessageRefused)} == {
        Reason.CERTIFICATE_MISSING
    }
    assert sum(isinstance(result, CertificateUnavailable) for result in results) == 491
    assert await keyring.get(sns.certificate_url)
    watch.now += 60
    await asyncio.gather(*(keyring.get(random_url()) for _ in range(500)), return_exceptions=True)
    assert len(sns.fetched) == 20


async def test_a_url_that_holds_none_is_not_asked_again_for_a_while() -> None:
    sns, watch = FakeSns(), Watch()
    keyring, url = CertificateCache(sns.fetch_certificate, monotonic=watch), random_url()
    for pause in (0, 299, 2):
        watch.now += pause
        with pytest.raises(MessageRefused):
            await keyring.get(url)
    assert sns.fetched == [url, url]


async def test_what_is_kept_is_bounded() -> None:
    sns, watch = FakeSns(), Watch()
    keyring = CertificateCache(sns.fetch_certificate, monotonic=watch)
    urls = [sns.publish_certificate(sns.signer) for _ in range(40)]
    for url in urls:
        watch.now += 2
        await keyring.get(url)
    for url in reversed(urls[-16:]):
        await keyring.get(url)
    assert sns.fetched == urls
    watch.now += 2
    await keyring.get(urls[0])
    assert sns.fetched == [*urls, urls[0]]


async def test_who_gives_up_takes_nothing_from_the_others() -> None:
    sns, gate = FakeSns(), asyncio.Event()

    async def slow(url: str) -> bytes:
        await gate.wait()
        return await sns.fetch_certificate(url)

    keyring = CertificateCache(slow)
    impatient = asyncio.create_task(keyring.get(sns.certificate_url))
    patient = asyncio.create_task(keyring.get(sns.certificate_url))
    await asyncio.sleep(0)
    impatient.cancel()
    gate.set()
    assert await patient
    assert impatient.cancelled()
    assert sns.fetched == [sns.certificate_url]
