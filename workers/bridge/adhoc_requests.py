"""How a fetch is asked for from outside: by SNS, by SQS, by the API, by somebody at a keyboard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog
from kombu.exceptions import OperationalError

from eagle_logger.errors import RedisUnavailable
from eagle_logger.fetching.batching import Batcher
from eagle_logger.users.store import RequestResult, UserStore

Enqueue = Callable[[Sequence[str]], None]
"""Publishes leased users for the ad-hoc workers. Blocking. Raises kombu's OperationalError when the
broker is away."""

_log = structlog.get_logger("eagle_logger.adhoc_requests")

_PATIENCE = 5.0
"""Seconds that publishing may take; SNS itself gives up after fifteen."""
_PUBLISHERS = 4


class AdhocRequests:
    """Leases the users somebody asks for and sends them to a worker."""

    def __init__(self, users: UserStore, enqueue: Enqueue, *, patience: float = _PATIENCE) -> None:
        self._users = users
        self._enqueue = enqueue
        self._patience = patience
        self._publications: Batcher[Sequence[str], None] = Batcher(self._publish)
        self._threads = ThreadPoolExecutor(_PUBLISHERS, thread_name_prefix="publish")

    async def take(self, cloud_ids: Sequence[str], *, once: str | None = None) -> RequestResult:
        """Have these users fetched now; with `once`, only the first time it is asked for under that
        name.

        Raises RedisUnavailable if that could not be promised; then the same `once` may be asked
        again. What was leased is due again at once, or when its lease ends if not even that can be
        said, so nothing is lost if nobody asks again.
        """
        requested = await self._users.request(cloud_ids, once=once)
        if requested.leased:
            try:
                await self._publications.add(requested.leased)
            except (OperationalError, OSError) as exc:  # OSError covers the time-out too
                await self._forget(once, requested.leased)
                raise RedisUnavailable(f"the broker does not take messages: {exc}") from exc
        return requested

    async def _publish(self, gathered: Sequence[Sequence[str]]) -> Sequence[None]:
        """In a flood, all that was leased while the last publication was under way goes out
        together: few messages for many users. One that goes through after its time was up does no
        harm: users are claimed."""
        cloud_ids = [cloud_id for leased in gathered for cloud_id in leased]
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._patience):
            await loop.run_in_executor(self._threads, self._enqueue, cloud_ids)
        return [None] * len(gathered)

    async def _forget(self, once: str | None, leased: Sequence[str]) -> None:
        try:
            await self._users.forget(once, leased)
        except RedisUnavailable as exc:
            _log.warning(
                "a message that was not enqueued stays marked as seen; its lease will do",
                message_id=once,
                cloud_ids=leased,
                reason=str(exc),
            )

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
