"""What the relay says when it has no reading, and what that means.

Rainforest documents no wording for a bad cloud id, a bad password or an unknown MAC, and not all
others are known. So the phrases are data, in one table. Some were captured; the others are what
such servers usually say.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

from eagle_logger.errors import EagleError, Refused, RelayUnavailable


class ErrorMeaning(StrEnum):
    TRANSIENT = "transient"
    REFUSED = "refused"


class ErrorPhrase(NamedTuple):
    """`pattern` is searched in the text of a reply. `reason` is a metric's label."""

    pattern: re.Pattern[str]
    means: ErrorMeaning
    reason: str


def _transient(reason: str, pattern: str) -> ErrorPhrase:
    return ErrorPhrase(re.compile(pattern, re.IGNORECASE), ErrorMeaning.TRANSIENT, reason)


def _refused(reason: str, pattern: str) -> ErrorPhrase:
    return ErrorPhrase(re.compile(pattern, re.IGNORECASE), ErrorMeaning.REFUSED, reason)


_CREDENTIAL = r"(?:user(?:name)?|password|credentials?|cloud[ _-]?id|account|login|e-?mail)"
_WRONG = r"(?:invalid|wrong|bad|incorrect|unknown|unrecogni[sz]ed|no such|missing)"
_NOT_VALID = rf"(?:{_WRONG}|not (?:found|known|registered|valid|authori[sz]ed))"

ERROR_PHRASES = (
    # A program behind the relay failed and shows why. For instance, its database refused the
    # program, not this user.
    _transient("server_error", r"\(using password: (?:yes|no)\)"),
    _transient(
        "server_error", r"\b(?:mysqli?|pgsql?|pdo|odbc|mssql|sqlsrv)_?\w*(?:\(\)|::|exception)"
    ),
    _transient(
        "server_error", r"\bsqlstate\b|\bORA-\d{5}|password authentication failed for user \""
    ),
    _transient(
        "server_error",
        r"\b(?:warning|notice|deprecated|(?:fatal|parse|uncaught) error|exception)\b"
        r".{1,400}\bline:? \d+",
    ),
    _transient("server_error", r"stack ?trace|traceback \(most recent"),
    _transient("timed_out", r"time[ds]?[ -]?out|timeout"),
    _transient("busy", r"\bbusy\b|too many requests|rate limit|try again|slow down"),
    _transient("unavailable", r"unavailable|maintenance|overload"),
    _transient("http_5xx", r"bad gateway|internal (?:server )?error"),
    _transient(
        "offline",
        r"off-?line|not (?:connected|reachable|responding)|disconnected|unreachable"
        r"|no (?:response|route|answer)",
    ),
    _refused("credentials", rf"{_WRONG}\W+(?:\w+\W+){{0,2}}{_CREDENTIAL}"),
    _refused("credentials", rf"{_CREDENTIAL}\W+(?:\w+\W+){{0,3}}{_NOT_VALID}"),
    _refused(
        "credentials",
        r"unauthori[sz]ed|not authori[sz]ed|forbidden|access denied|permission denied",
    ),
    _refused(
        "credentials",
        r"(?:authentication|authori[sz]ation|log-?in) (?:failed|failure|required|error)",
    ),
    _refused("mac_id", rf"{_WRONG}\W+(?:\w+\W+){{0,2}}mac(?:[ _-]?(?:id|address))?\b"),
)
"""The first that fits counts. Trouble that may pass by itself comes first, so that it never parks a
user."""


def phrase_in(text: str) -> ErrorPhrase | None:
    """The first phrase that the text holds, or None. The caller bounds the length of the text."""
    return next((phrase for phrase in ERROR_PHRASES if phrase.pattern.search(text)), None)


def error_for(phrase: ErrorPhrase, detail: str) -> EagleError:
    """The error to raise. `detail` must be redacted."""
    if phrase.means is ErrorMeaning.REFUSED:
        return Refused(f"the relay refuses this user: {detail}")
    return RelayUnavailable(f"the relay has no reading now: {detail}", reason=phrase.reason)
