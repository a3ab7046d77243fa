"""From a whole reply (status, headers, body) to what it holds, or to the error that says what to do
(docs/reference/quirks.md, "Errors")."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from eagle_logger.errors import EagleError, Refused, RelayUnavailable
from eagle_logger.rainforest.decoding.decode import decode, text_of
from eagle_logger.rainforest.decoding.error_phrases import (
    ErrorMeaning,
    ErrorPhrase,
    error_for,
    phrase_in,
)
from eagle_logger.rainforest.decoding.notifications import plain_text
from eagle_logger.rainforest.decoding.redaction import redacted, redacted_detail
from eagle_logger.rainforest.source import Decoded, ReplyProblem, UnreadableReply

LONGEST_RETRY_AFTER = 3600.0
"""Seconds: the longest pause that a reply can ask for."""

_BYTES_SEARCHED = 4096
_TAG = re.compile(r"<[^<>]{0,200}>")
_REASONS = {408: "timed_out", 429: "busy", 400: "busy"}
"""By status. 400 is the answer of a gateway that hangs (source: captured replies)."""
_HTML_PAGE = re.compile(
    r"\A\s*<(?:a|b|br|center|div|font|h[1-6]|hr|i|img|link|p|pre|span|strong|style|table)\b"
    r"|<!doctype\s+html|</?(?:html|head|body|title|script|meta)\b",
    re.IGNORECASE,
)
"""The relay answers in fragments of XML, in JSON or in plain text. A page comes from a proxy, a
portal or a program that failed."""
_PAGE = ErrorPhrase(_HTML_PAGE, ErrorMeaning.TRANSIENT, "web_page")


def interpret(
    status: int, headers: Mapping[str, str], body: bytes, secrets: Collection[str] = ()
) -> Decoded:
    """What a reply holds. Its body decides as much as its status: many errors come with status 200.

    `headers` are looked up by lower-case name. No error shows any of the `secrets`. Raises
    RelayUnavailable (time-out, busy, empty body, 407, 408, 429, 5xx, a redirect, an HTML page that
    refuses), Refused (credentials, cloud id) or UnreadableReply (a reply of an unknown kind; it
    carries the problem).
    """
    if not 200 <= status <= 299:
        raise _status_error(status, headers, body, secrets)
    if not body.strip(b"\0 \t\r\n"):
        raise RelayUnavailable("the reply is empty", reason="empty")
    decoded = decode(body, secrets)
    if decoded.known:
        return decoded
    raise _body_error(decoded.problems, body, secrets)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, at most LONGEST_RETRY_AFTER.

    A date in Retry-After is compared with the reply's own Date, because the relay's clock and this
    machine's may differ.
    """
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    if re.fullmatch(r"\d{1,9}", value, re.ASCII):
        return min(float(value), LONGEST_RETRY_AFTER)
    until, now = _date(value), _date(headers.get("date", ""))
    if until is None or now is None:
        return None
    return min(max(0.0, (until - now).total_seconds()), LONGEST_RETRY_AFTER)


def _status_error(
    status: int, headers: Mapping[str, str], body: bytes, secrets: Collection[str]
) -> EagleError:
    shown = _shown_text(body, secrets)
    detail = f"status {status} {shown}".rstrip()
    if status in {401, 403}:
        return _refusal(body, detail)
    if status == 407:
        message = f"a proxy on the way to the relay wants a password: {detail}"
        return RelayUnavailable(message, reason="proxy")
    if status in _REASONS or status >= 500:
        return _no_reading_now(status, headers, body, detail)
    if 300 <= status <= 399:
        message = f"the relay redirects, and redirects are not followed: {detail}"
        return RelayUnavailable(message, reason="redirected")
    phrase = _error_phrase(body)
    if phrase is not None:
        return error_for(phrase, detail)
    return UnreadableReply(ReplyProblem("status", detail, shown))


def _refusal(body: bytes, detail: str) -> EagleError:
    """The error for 401 and 403: the relay refuses this user, unless the body shows that the relay
    did not write it."""
    phrase = _error_phrase(body)
    if phrase is not None:
        return error_for(phrase, detail)
    if _is_html(body):
        return error_for(_PAGE, detail)
    return Refused(f"the relay refuses this user: {detail}")


def _no_reading_now(
    status: int, headers: Mapping[str, str], body: bytes, detail: str
) -> EagleError:
    """The error for 400, 408, 429 and 5xx. Only 400 may be a refusal, if its body says so."""
    phrase = None if status in {408, 429} else _error_phrase(body)
    if status == 400 and phrase is not None and phrase.means is ErrorMeaning.REFUSED:
        return error_for(phrase, detail)
    timed_out = phrase is not None and phrase.reason == "timed_out"
    reason = "timed_out" if timed_out else _REASONS.get(status, f"http_{status // 100}xx")
    message = f"the relay has no reading now: {detail}"
    return RelayUnavailable(message, reason=reason, retry_after=retry_after(headers))


def _body_error(
    problems: tuple[ReplyProblem, ...], body: bytes, secrets: Collection[str]
) -> EagleError:
    """The error for a body without any known notification.

    `problems` say what it holds instead. Among them an `error` is the most telling.
    """
    first = problems[0] if problems else ReplyProblem("garbage", "nothing in it", "")
    problem = next((problem for problem in problems if problem.what == "error"), first)
    if problem.what in {"error", "unknown_root", "garbage"}:
        phrase = _error_phrase(body)
        if phrase is not None:
            return error_for(phrase, _shown_text(body, secrets))
    return UnreadableReply(problem)


def _error_phrase(body: bytes) -> ErrorPhrase | None:
    """The error phrase that the reply holds. An HTML page refuses nobody."""
    phrase = phrase_in(_without_tags(text_of(body[:_BYTES_SEARCHED])))
    refuses = phrase is not None and phrase.means is ErrorMeaning.REFUSED
    return _PAGE if refuses and _is_html(body) else phrase


def _is_html(body: bytes) -> bool:
    return _HTML_PAGE.search(text_of(body[:_BYTES_SEARCHED])) is not None


def _shown_text(body: bytes, secrets: Collection[str]) -> str:
    """The beginning of the reply, without tags, for a person to read.

    It is redacted first, while the tags still name what is secret, and once more without them.
    """
    text = redacted(text_of(body[:_BYTES_SEARCHED]), secrets)
    return redacted_detail(_without_tags(text), secrets)


def _without_tags(text: str) -> str:
    return " ".join(plain_text(_TAG.sub(" ", text)).split())


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
