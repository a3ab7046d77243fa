"""One process's way to its log volume: a thread of its own, and word of when it cannot be written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

import structlog

from eagle_logger.core.hours import Hour
from eagle_logger.errors import DiskUnavailable
from eagle_logger.logs.appender import AppendResult

_log = structlog.get_logger("eagle_logger.disk")

Result = TypeVar("Result")

RETRY = 1.0
"""Seconds between two tries to write to a volume that is full or failing."""


class LogAppender(Protocol):
    """What the cycle needs of the local log files; blocking. Raises DiskUnavailable."""

    def append(self, batch: Mapping[tuple[str, Hour], Sequence[bytes]]) -> AppendResult: ...
    def check(self) -> None: ...
    def close(self) -> None: ...


class LogVolume:
    """For one event loop."""

    def __init__(self, logs: LogAppender) -> None:
        self.trouble: str | None = None
        """Why fetching has stopped, if it has."""
        self._logs = logs
        self._trying = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="disk")

    async def ensure(self) -> None:
        """Raises DiskUnavailable while what is in hand cannot be written, or more could not be."""
        if self._trying and self.trouble is not None:
            raise DiskUnavailable(self.trouble)
        try:
            await self._run(self._logs.check)
        except DiskUnavailable as exc:
            self._note(str(exc))
            raise
        if not self._trying:
            self._note(None)

    async def append(
        self, lines: Mapping[tuple[str, Hour], Sequence[bytes]], *, stopping: Callable[[], bool]
    ) -> AppendResult:
        """Write until it succeeds: these readings cannot be fetched again. Raises DiskUnavailable
        when it is time to stop."""
        self._trying = True
        try:
            while True:
                try:
                    written = await self._run(self._logs.append, lines)
                except DiskUnavailable as exc:
                    self._note(str(exc))
                    if stopping():
                        raise
                    await asyncio.sleep(RETRY)
                else:
                    self._note(None)
                    return written
        finally:
            self._trying = False

    def submit(self, call: Callable[..., Any], *words: Any) -> None:
        """Have it done some time, after what was asked for before."""
        self._thread.submit(call, *words)

    async def close(self) -> None:
        await self._run(self._logs.close)
        self._thread.shutdown()

    async def _run(self, call: Callable[..., Result], *words: Any) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *words)

    def _note(self, trouble: str | None) -> None:
        if trouble is not None and self.trouble is None:
            _log.error("fetching stops: the log volume cannot be written", reason=trouble)
        elif trouble is None and self.trouble is not None:
            _log.info("fetching resumes: the log volume can be written again")
        self.trouble = trouble
