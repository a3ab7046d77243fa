"""Certificates that were fetched, kept; and a bound on how many are fetched at all."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TypeVar

from eagle_logger.sns.certificates import Certificate
from eagle_logger.sns.refusals import CertificateUnavailable, MessageRefused, Reason

FetchCertificate = Callable[[str], Awaitable[bytes]]
"""Gets what lies at a checked certificate URL. Raises MessageRefused or CertificateUnavailable."""

Kept = TypeVar("Kept")

_KEPT = 16
_REFUSALS_KEPT = 256
_REFUSED_FOR = 300.0
_FETCHES_AT_ONCE = 10
_SECONDS_PER_FETCH = 2.0


class CertificateCache:
    """Signing certificates by URL: the last few are kept, as are the URLs that proved to hold none.

    The path of a certificate's URL is the sender's to choose, so fetches are rationed: at most ten
    at once and one every two seconds in the long run, whatever comes in. Concurrent messages with
    the same URL share one fetch. What is kept is checked for name and date by whoever uses it, each
    time.
    """

    def __init__(
        self, fetch: FetchCertificate, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch = fetch
        self._monotonic = monotonic
        self._kept: OrderedDict[str, Certificate] = OrderedDict()
        self._refused: OrderedDict[str, tuple[float, MessageRefused]] = OrderedDict()
        self._under_way: dict[str, asyncio.Task[Certificate]] = {}
        self._fetches_left = float(_FETCHES_AT_ONCE)
        self._counted_at = monotonic()

    async def get(self, url: str) -> Certificate:
        """The certificate at a URL that has been checked. Raises MessageRefused or
        CertificateUnavailable."""
        if kept := self._kept.get(url):
            self._kept.move_to_end(url)
            return kept
        until, refusal = self._refused.get(url, (0.0, None))
        if refusal is not None and self._monotonic() < until:
            raise refusal.with_traceback(None)
        # Shielded: whoever started the fetch may give up without taking it away from the others.
        return await asyncio.shield(self._under_way.get(url) or self._begin(url))

    def _begin(self, url: str) -> asyncio.Task[Certificate]:
        self._ration()
        task = asyncio.create_task(self._obtain(url))
        self._under_way[url] = task
        task.add_done_callback(lambda done: self._done(url, done))
        return task

    def _ration(self) -> None:
        now = self._monotonic()
        earned = (now - self._counted_at) / _SECONDS_PER_FETCH
        self._fetches_left = min(self._fetches_left + earned, float(_FETCHES_AT_ONCE))
        self._counted_at = now
        if self._fetches_left < 1:
            raise CertificateUnavailable(
                "too many certificates are asked for", Reason.CERTIFICATE_FETCHES_EXHAUSTED
            )
        self._fetches_left -= 1

    async def _obtain(self, url: str) -> Certificate:
        try:
            certificate = Certificate.parse(await self._fetch(url))
        except MessageRefused as exc:
            _keep(self._refused, url, (self._monotonic() + _REFUSED_FOR, exc), _REFUSALS_KEPT)
            raise
        _keep(self._kept, url, certificate, _KEPT)
        return certificate

    def _done(self, url: str, task: asyncio.Task[Certificate]) -> None:
        del self._under_way[url]
        if not task.cancelled():
            task.exception()  # seen, though all who waited for it may be gone


def _keep(kept: OrderedDict[str, Kept], url: str, what: Kept, at_most: int) -> None:
    kept[url] = what
    kept.move_to_end(url)
    while len(kept) > at_most:
        kept.popitem(last=False)
