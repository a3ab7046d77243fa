"""What the system reports about itself: how late it fetches, and structured log lines."""

from __future__ import annotations

import logging
import sys
from bisect import bisect_left
from collections.abc import Mapping

import structlog

from eagle_logger.core.printable import harmless, harmless_lines

LATENESS_BOUNDS_MS = (
    *(10, 20, 50, 100, 150, 200, 300, 400, 500, 600, 700, 800, 900, 1000, 1250, 1500, 1750, 2000),
    *(2500, 3000, 4000, 5000, 7500, 10_000, 15_000, 20_000, 30_000, 60_000, 300_000, 3_600_000),
)
"""Upper bounds of the lateness counters, in milliseconds. They are close together where the promise
(2 s) lies. The last counter also counts everything beyond its bound."""

_LATENESS_PREFIX = "late_"

# Celery's loggers write three lines a task; the task's own line tells more.
_LOGGERS_FOR_WARNINGS_ONLY = (
    *("httpx", "httpcore", "botocore", "boto3", "urllib3", "aiohttp"),
    *("celery.app.trace", "celery.beat", "celery.worker.strategy"),
)


def lateness_counter(seconds: float) -> str:
    """The name of the counter for fetches that began this late."""
    index = min(bisect_left(LATENESS_BOUNDS_MS, seconds * 1000), len(LATENESS_BOUNDS_MS) - 1)
    return f"{_LATENESS_PREFIX}{LATENESS_BOUNDS_MS[index]}"


def lateness_counts(tally: Mapping[str, int]) -> dict[int, int]:
    """The number of fetches by lateness: upper bound in milliseconds → count."""
    return {bound: tally.get(f"{_LATENESS_PREFIX}{bound}", 0) for bound in LATENESS_BOUNDS_MS}


def late_percentile(tally: Mapping[str, int], share: float) -> float | None:
    """The lateness in seconds that this share of fetches did not exceed (the upper bound of its
    counter); None if there were no fetches."""
    counts = lateness_counts(tally)
    wanted = share * sum(counts.values())
    counted = 0
    for bound, count in counts.items():
        counted += count
        if count and counted >= wanted:
            return bound / 1000
    return None


def _without_control_characters(
    _: object, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Replace control characters, because a terminal would obey them. JSON escapes them anyway."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = harmless_lines(value) if name == "event" else harmless(value)
    return event


def configure_logging(log_format: str) -> None:
    """Write each log entry, of this program and of libraries, as one line on standard error.
    `log_format` is EAGLE_LOG_FORMAT."""
    as_json = log_format == "json" or (log_format == "auto" and not sys.stderr.isatty())
    for_all_entries: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[*for_all_entries, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    )
    before_rendering: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info] if as_json else [_without_control_characters]
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=for_all_entries,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *before_rendering,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    for name in _LOGGERS_FOR_WARNINGS_ONLY:
        logging.getLogger(name).setLevel(logging.WARNING)
