"""One process's access to its log volume: a thread for blocking writes, and the trouble that stops
fetching."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

import structlog

from eagle_logger.core.hours import Hour
from eagle_logger.errors import DiskUnavailable
from eagle_logger.logs.writer import AppendResult

_log = structlog.get_logger("eagle_logger.disk")

Result = TypeVar("Result")


class LogAppender(Protocol):
    """What the cycle needs of the local log files; blocking. Raises DiskUnavailable."""

    def append(self, batch: Mapping[tuple[str, Hour], Sequence[bytes]]) -> AppendResult: ...
    def check(self) -> None: ...
    def close(self) -> None: ...


class SampleKeeper(Protocol):
    """Keeps a few replies that could not be used, for a person to look at; blocking."""

    def keep_sample(self, cloud_id: str, when: float, text: str) -> None: ...


class LogVolume:
    """For one event loop. `retry_pause` is in seconds."""

    def __init__(self, logs: LogAppender, *, retry_pause: float) -> None:
        self.trouble: str | None = None
        """Why fetching has stopped, if it has."""
        self._logs = logs
        self._retry_pause = retry_pause
        self._appending = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="disk")

    async def ensure_writable(self) -> None:
        """Raises DiskUnavailable if the batch under way could not be written at its last try, or if
        the volume would refuse another batch."""
        if self._appending and self.trouble is not None:
            raise DiskUnavailable(self.trouble)
        try:
            await self._run(self._logs.check)
        except DiskUnavailable as exc:
            self._set_trouble(str(exc))
            raise
        if not self._appending:
            self._set_trouble(None)

    async def append(
        self, lines: Mapping[tuple[str, Hour], Sequence[bytes]], *, stopping: Callable[[], bool]
    ) -> AppendResult:
        """Try until the lines are written, because these readings cannot be fetched again. Raises
        DiskUnavailable if a try fails once `stopping` is true."""
        self._appending = True
        try:
            while True:
                try:
                    written = await self._run(self._logs.append, lines)
                except DiskUnavailable as exc:
                    self._set_trouble(str(exc))
                    if stopping():
                        raise
                    await asyncio.sleep(self._retry_pause)
                else:
                    self._set_trouble(None)
                    return written
        finally:
            self._appending = False

    def submit(self, function: Callable[..., object], *args: Any) -> None:
        """Call the function on the thread, after all earlier calls. Its result is not awaited."""
        self._thread.submit(function, *args)

    async def close(self) -> None:
        await self._run(self._logs.close)
        self._thread.shutdown()

    async def _run(self, function: Callable[..., Result], *args: Any) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)

    def _set_trouble(self, trouble: str | None) -> None:
        if trouble is not None and self.trouble is None:
            _log.error(
                "fetching_stopped", reason=trouble, detail="the log volume cannot be written"
            )
        elif trouble is None and self.trouble is not None:
            _log.info("fetching_resumed", detail="the log volume can be written again")
        self.trouble = trouble
