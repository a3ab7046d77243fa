"""What came of a request from outside, as one log line and in the counters."""

from __future__ import annotations

from typing import Any

from eagle_logger.sns.fetch_request import FetchRequest
from eagle_logger.users.store import RequestResult
from workers.bridge.counters import Counters


def record_request(
    log: Any, counters: Counters, way: str, request: FetchRequest, result: RequestResult
) -> str:
    """Log and count the request that came by this way (`sns`, `sqs`, `api`), and return its outcome
    in a word.

    The outcome is `queued`; `marked`, if the workers that hold the users fetch them once more;
    `nobody`, if none of the users can be fetched; or `repeated`. `log` bears the message's id, if
    it has one.
    """
    outcome = _outcome(result)
    counters.add("unknown_users_asked", len(result.unknown) + request.not_ids)
    counters.add("parked_users_asked", len(result.parked))
    fields = {
        "cloud_ids": request.cloud_ids if result.seen_before else (),
        "queued": result.leased,
        "marked": result.marked,
        "unknown": result.unknown,
        "parked": result.parked,
        "not_ids": request.not_ids,
    }
    write = log.warning if result.unknown or request.not_ids else log.info
    write(
        f"{way}_message",
        outcome=outcome,
        **{name: value for name, value in fields.items() if value},
    )
    return outcome


def _outcome(result: RequestResult) -> str:
    if result.seen_before:
        return "repeated"
    if result.leased:
        return "queued"
    return "marked" if result.marked else "nobody"
