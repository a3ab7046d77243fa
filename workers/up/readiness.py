"""Which programs are ready: those that answer, or that have reported progress. That a process lives
proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from eagle_logger.inspection.health import is_silent
from workers.up.programs import Program


def not_ready(
    programs: Iterable[Program],
    progress: Mapping[str, Mapping[str, str | int | float]],
    since: float,
    running: set[str],
) -> list[str]:
    """The names of the programs that are not ready yet. `since` is when they were started, in the
    user store's time; `running` are the names of those that run."""
    return [
        program.name for program in programs if not _is_ready(program, progress, since, running)
    ]


def still_missing(missing: list[str], wanted: int) -> str:
    """The line that `up` shows while some of the `wanted` programs are not ready."""
    ready = wanted - len(missing)
    return f"{ready} of {wanted} are ready; waiting for {', '.join(missing)}"


def silent_programs(
    programs: Iterable[Program],
    progress: Mapping[str, Mapping[str, str | int | float]],
    now: float,
    stretched: Callable[[float], float] = float,
) -> list[Program]:
    """The programs that have not reported progress for too long.

    `now` is the user store's time; `stretched` converts real seconds to the store's.
    """
    return [
        program
        for program in programs
        if program.reports_as is not None
        and is_silent(progress, program.reports_as, now, stretched(program.silent_after))
    ]


def _is_ready(
    program: Program,
    progress: Mapping[str, Mapping[str, str | int | float]],
    since: float,
    running: set[str],
) -> bool:
    if program.name not in running:
        return False
    if program.answers_at is not None:
        return answers(program.answers_at)
    if program.reports_as is not None:
        return float(progress.get(program.reports_as, {}).get("at", 0)) >= since
    return True


def answers(url: str) -> bool:
    """Whether a GET of this URL is answered with 200. Plain HTTP only."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=2)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
