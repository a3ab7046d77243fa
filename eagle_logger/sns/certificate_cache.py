"""Keeps certificates that were fetched, and bounds how many are fetched at all."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TypeVar

from eagle_logger.core.token_bucket import Rate, TokenBucket
from eagle_logger.sns.certificates import Certificate
from eagle_logger.sns.refusals import CertificateUnavailable, MessageRefused, Reason

FetchCertificate = Callable[[str], Awaitable[bytes]]
"""Fetches the certificate at a checked URL. Raises MessageRefused or CertificateUnavailable."""

Item = TypeVar("Item")

_FETCHES = Rate(per_second=0.5, burst=10)
_CERTIFICATES_KEPT = 16
_REFUSALS_KEPT = 256
_REFUSAL_KEPT_S = 300.0


class CertificateCache:
    """Signing certificates by URL: the last few, and the URLs that proved to hold none.

    The sender of a message chooses the path of its certificate's URL. So fetches are rationed: ten
    at once and one every two seconds in the long run, whatever is sent. Concurrent messages with
    the same URL share one fetch. The cache checks neither name nor date of a certificate; the
    caller does that each time.
    """

    def __init__(
        self, fetch: FetchCertificate, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch = fetch
        self._monotonic = monotonic
        self._certificates: OrderedDict[str, Certificate] = OrderedDict()
        self._refusals: OrderedDict[str, tuple[float, MessageRefused]] = OrderedDict()
        self._fetching: dict[str, asyncio.Task[Certificate]] = {}
        self._fetches = TokenBucket(_FETCHES, monotonic())

    async def get(self, url: str) -> Certificate:
        """The certificate at a checked URL. Raises MessageRefused or CertificateUnavailable."""
        if certificate := self._certificates.get(url):
            self._certificates.move_to_end(url)
            return certificate
        until, refusal = self._refusals.get(url, (0.0, None))
        if refusal is not None and self._monotonic() < until:
            raise refusal.with_traceback(None)
        # A message that is cancelled must not take the fetch away from the others, so it is
        # shielded.
        return await asyncio.shield(self._fetching.get(url) or self._start_fetch(url))

    def _start_fetch(self, url: str) -> asyncio.Task[Certificate]:
        if self._fetches.take(self._monotonic()) > 0:
            raise CertificateUnavailable(
                "too many certificates are asked for", Reason.CERTIFICATE_FETCHES_EXHAUSTED
            )
        task = asyncio.create_task(self._fetch_and_keep(url))
        self._fetching[url] = task
        task.add_done_callback(lambda done: self._forget_fetch(url, done))
        return task

    async def _fetch_and_keep(self, url: str) -> Certificate:
        try:
            certificate = Certificate.parse(await self._fetch(url))
        except MessageRefused as exc:
            until = self._monotonic() + _REFUSAL_KEPT_S
            _put(self._refusals, url, (until, exc), at_most=_REFUSALS_KEPT)
            raise
        _put(self._certificates, url, certificate, at_most=_CERTIFICATES_KEPT)
        return certificate

    def _forget_fetch(self, url: str, task: asyncio.Task[Certificate]) -> None:
        del self._fetching[url]
        if not task.cancelled():
            task.exception()  # otherwise asyncio complains if every message was cancelled


def _put(items: OrderedDict[str, Item], url: str, item: Item, *, at_most: int) -> None:
    items[url] = item
    items.move_to_end(url)
    while len(items) > at_most:
        items.popitem(last=False)
