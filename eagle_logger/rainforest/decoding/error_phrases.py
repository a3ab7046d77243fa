"""What the relay says when it has no reading, and what the caller should do about it.

The relay's own wordings for a bad cloud id, a bad password or an unknown MAC are not documented,
and not all others are known: so they are data, in one table, and a deployment can put its own
before it (`parse`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, NamedTuple

from eagle_logger.errors import EagleError, Refused, RelayUnavailable


class ErrorMeaning(StrEnum):
    TRANSIENT = "transient"
    REFUSED = "refused"


class ErrorPhrase(NamedTuple):
    """`pattern` is searched in what the reply says, whatever its case. `reason` is a metric's
    label."""

    pattern: re.Pattern[str]
    means: ErrorMeaning
    reason: str


def _wording(pattern: str, means: ErrorMeaning, reason: str) -> ErrorPhrase:
    return ErrorPhrase(re.compile(pattern, re.IGNORECASE), means, reason)


_WHO = r"(?:user(?:name)?|password|credentials?|cloud[ _-]?id|account|login|e-?mail)"
_WRONG = r"(?:invalid|wrong|bad|incorrect|unknown|unrecogni[sz]ed|no such|missing)"

WORDINGS = (
    # A program behind the relay failed and shows why. For instance, its database refused the
    # program, not this user.
    _wording(r"\(using password: (?:yes|no)\)", ErrorMeaning.TRANSIENT, "server_error"),
    _wording(
        r"\b(?:mysqli?|pgsql?|pdo|odbc|mssql|sqlsrv)_?\w*(?:\(\)|::|exception)",
        ErrorMeaning.TRANSIENT,
        "server_error",
    ),
    _wording(
        r"\bsqlstate\b|\bORA-\d{5}|password authentication failed for user \"",
        ErrorMeaning.TRANSIENT,
        "server_error",
    ),
    _wording(
        r"\b(?:warning|notice|deprecated|(?:fatal|parse|uncaught) error|exception)\b.{1,400}\bline:? \d+",
        ErrorMeaning.TRANSIENT,
        "server_error",
    ),
    _wording(r"stack ?trace|traceback \(most recent", ErrorMeaning.TRANSIENT, "server_error"),
    _wording(r"time[ds]?[ -]?out|timeout", ErrorMeaning.TRANSIENT, "timed_out"),
    _wording(
        r"\bbusy\b|too many requests|rate limit|try again|slow down", ErrorMeaning.TRANSIENT, "busy"
    ),
    _wording(r"unavailable|maintenance|overload", ErrorMeaning.TRANSIENT, "unavailable"),
    _wording(r"bad gateway|internal (?:server )?error", ErrorMeaning.TRANSIENT, "http_5xx"),
    _wording(
        r"off-?line|not (?:connected|reachable|responding)|disconnected|unreachable|no (?:response|route|answer)",
        ErrorMeaning.TRANSIENT,
        "offline",
    ),
    _wording(rf"{_WRONG}\W+(?:\w+\W+){{0,2}}{_WHO}", ErrorMeaning.REFUSED, "credentials"),
    _wording(
        rf"{_WHO}\W+(?:\w+\W+){{0,3}}(?:{_WRONG}|not (?:found|known|registered|valid|authori[sz]ed))",
        ErrorMeaning.REFUSED,
        "credentials",
    ),
    _wording(
        r"unauthori[sz]ed|not authori[sz]ed|forbidden|access denied|permission denied",
        ErrorMeaning.REFUSED,
        "credentials",
    ),
    _wording(
        r"(?:authentication|authori[sz]ation|log-?in) (?:failed|failure|required|error)",
        ErrorMeaning.REFUSED,
        "credentials",
    ),
    _wording(
        rf"{_WRONG}\W+(?:\w+\W+){{0,2}}mac(?:[ _-]?(?:id|address))?\b",
        ErrorMeaning.REFUSED,
        "mac_id",
    ),
)
"""In this order: what may pass by itself comes first, so that a user is never parked over a passing
trouble."""


def meaning_of(what_it_says: str, wordings: Iterable[ErrorPhrase] = WORDINGS) -> ErrorPhrase | None:
    """The first wording that fits, or None. The longest text looked at is the caller's to choose."""
    return next((wording for wording in wordings if wording.pattern.search(what_it_says)), None)


def error_for(wording: ErrorPhrase, detail: str) -> EagleError:
    """The error to raise; `detail` must be redacted."""
    if wording.means is ErrorMeaning.REFUSED:
        return Refused(f"the relay refuses this user: {detail}")
    return RelayUnavailable(f"the relay has no reading now: {detail}", reason=wording.reason)


def parse(text: str) -> tuple[ErrorPhrase, ...]:
    """Wordings of a deployment's own, which come before ours.

    JSON: `[{"pattern": "gateway asleep", "means": "transient", "reason": "offline"}]`; `means` is
    transient or refused, `reason` a short word. Raises ValueError, saying what is wrong.
    """
    found = json.loads(text)
    if not isinstance(found, list):
        raise ValueError("expected a JSON list of wordings")
    return (*map(_parsed, found), *WORDINGS)


def _parsed(item: Any) -> ErrorPhrase:
    try:
        pattern, means, reason = (
            str(item["pattern"]),
            ErrorMeaning(item["means"]),
            str(item.get("reason", "said_so")),
        )
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,31}", reason):
            raise ValueError("a reason is one lower-case word")
        return _wording(pattern, means, reason)
    except (KeyError, TypeError, AttributeError, ValueError, re.error) as exc:
        raise ValueError(f"not a wording: {item!r} ({exc})") from None
