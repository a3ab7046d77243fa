"""Errors as answers: `application/problem+json` (RFC 9457), with a word for programs and a sentence
for people."""

from __future__ import annotations

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from pydantic import ValidationError
from tornado.web import HTTPError

from eagle_logger.errors import BadCloudId, EagleError, Transient, UnknownUser

MEDIA_TYPE = "application/problem+json"


class HttpProblem(HTTPError):
    """An answer other than the one that was asked for. `reason_word` is one of a small fixed set.
    `members`: further members of the JSON object."""

    def __init__(self, status: int, reason_word: str, detail: str, **members: Any) -> None:
        super().__init__(status)
        self.reason_word = reason_word
        self.detail = detail
        self.members = members
        self.headers: dict[str, str] = {}

    def with_header(self, name: str, value: str) -> HttpProblem:
        self.headers[name] = value
        return self


def try_again(
    reason_word: str, detail: str, *, after: float = 1.0, status: int = 503
) -> HttpProblem:
    """`after`: seconds, for the header Retry-After."""
    return HttpProblem(status, reason_word, detail).with_header(
        "Retry-After", str(math.ceil(after))
    )


def problem_of(error: BaseException | None, status: int) -> HttpProblem:
    """The answer for any exception. Of one that is not foreseen here, the answer shows nothing: its
    text may hold a secret. It gets the given status."""
    match error:
        case HttpProblem():
            return error
        case HTTPError():
            return _problem_of_status(error.status_code)
        case ValidationError():
            return _validation_problem(error)
        case UnknownUser():
            return HttpProblem(404, "unknown_user", str(error))
        case BadCloudId():
            return HttpProblem(400, "bad_cloud_id", str(error))
        case Transient():
            return try_again("unavailable", str(error))
        case EagleError():
            return HttpProblem(500, "error", str(error))
        case _:
            return _problem_of_status(status)


def body(problem: HttpProblem) -> Mapping[str, Any]:
    return {
        "type": "about:blank",
        "title": _phrase(problem.status_code),
        "status": problem.status_code,
        "detail": problem.detail,
        "reason": problem.reason_word,
        **problem.members,
    }


def _validation_problem(error: ValidationError) -> HttpProblem:
    """The values themselves are left out: a password may be among them."""
    mistakes = error.errors(include_url=False, include_input=False, include_context=False)
    if any(mistake["type"] == "json_invalid" for mistake in mistakes):
        return HttpProblem(400, "not_json", "the body is not JSON")
    errors = [
        {"field": ".".join(map(str, mistake["loc"])), "message": mistake["msg"]}
        for mistake in mistakes
    ]
    return HttpProblem(422, "invalid", "the body is not what this route takes", errors=errors)


def _problem_of_status(status: int) -> HttpProblem:
    phrase = _phrase(status)
    return HttpProblem(status, phrase.lower().replace(" ", "_").replace("-", "_"), phrase)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
