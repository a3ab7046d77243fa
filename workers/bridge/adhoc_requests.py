"""Requests to fetch users at once, however they come: through SNS, SQS, the API or `ping`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog
from kombu.exceptions import OperationalError

from eagle_logger.errors import RedisUnavailable
from eagle_logger.fetching.batching import Batcher
from eagle_logger.users.store import RequestResult, Schedule

Enqueue = Callable[[Sequence[str]], None]
"""Publishes leased users for the ad-hoc workers. Blocking. Raises kombu's OperationalError when the
broker is away."""

_log = structlog.get_logger("eagle_logger.adhoc_requests")

_PUBLISH_WITHIN_S = 5.0
"""SNS waits for an answer for fifteen seconds."""
_PUBLISHING_THREADS = 4


class AdhocRequests:
    """Leases the requested users and sends them to a worker."""

    def __init__(
        self, schedule: Schedule, enqueue: Enqueue, *, publish_within: float = _PUBLISH_WITHIN_S
    ) -> None:
        self._schedule = schedule
        self._enqueue = enqueue
        self._publish_within = publish_within
        self._publications: Batcher[Sequence[str], None] = Batcher(self._publish)
        self._threads = ThreadPoolExecutor(_PUBLISHING_THREADS, thread_name_prefix="publish")

    async def fetch_now(
        self, cloud_ids: Sequence[str], *, once: str | None = None
    ) -> RequestResult:
        """Have these users fetched now. A repeated request with the same `once` does nothing.

        Raises RedisUnavailable if that cannot be promised; then the request may be repeated with
        the same `once`. Nothing is lost if it is not: the leased users fall due again at once, or
        at the end of their lease if Redis does not answer either.
        """
        result = await self._schedule.request(cloud_ids, once=once)
        if result.leased:
            try:
                await self._publications.add(result.leased)
            except (OperationalError, OSError) as exc:  # a TimeoutError is an OSError
                await self._forget(once, result.leased)
                raise RedisUnavailable(f"the broker does not take messages: {exc}") from exc
        return result

    async def _publish(self, batch: Sequence[Sequence[str]]) -> Sequence[None]:
        """Publish in one go what was leased while the last publication was under way. So a flood
        becomes few messages of many users.

        A publication that goes through after its time-out does no harm: users are claimed.
        """
        cloud_ids = [cloud_id for leased in batch for cloud_id in leased]
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._publish_within):
            await loop.run_in_executor(self._threads, self._enqueue, cloud_ids)
        return [None] * len(batch)

    async def _forget(self, once: str | None, leased: Sequence[str]) -> None:
        try:
            await self._schedule.forget(once, leased)
        except RedisUnavailable as exc:
            _log.warning(
                "request_not_forgotten",
                message_id=once,
                cloud_ids=leased,
                reason=str(exc),
                detail="a message that was not enqueued still counts as seen; "
                "its users fall due again when their lease ends",
            )

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
