"""What came of a message from outside, told in one log line and in the counters."""

from __future__ import annotations

from typing import Any

from eagle_logger.sns.fetch_request import FetchRequest
from eagle_logger.users.store import RequestResult
from workers.bridge.counters import Counters


def tell(
    log: Any, counters: Counters, way: str, asked: FetchRequest, requested: RequestResult
) -> str:
    """The outcome in a word: queued, marked (their holders fetch them again), nobody (none can be
    fetched) or repeated. `log` bears the message's id, if it has one."""
    outcome = _outcome(requested)
    counters.add("unknown_users_asked", len(requested.unknown) + asked.not_ids)
    counters.add("parked_users_asked", len(requested.parked))
    known = {
        "cloud_ids": asked.cloud_ids if requested.seen_before else (),
        "queued": requested.leased,
        "marked": requested.marked,
        "unknown": requested.unknown,
        "parked": requested.parked,
        "not_ids": asked.not_ids,
    }
    say = log.warning if requested.unknown or asked.not_ids else log.info
    say(
        f"{way} message", outcome=outcome, **{name: value for name, value in known.items() if value}
    )
    return outcome


def _outcome(requested: RequestResult) -> str:
    if requested.seen_before:
        return "repeated"
    if requested.leased:
        return "queued"
    return "marked" if requested.marked else "nobody"
