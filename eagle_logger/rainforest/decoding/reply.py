"""From a whole reply (status, headers, body) to what it holds, or to the error that says what to
do. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from eagle_logger.errors import EagleError, Refused, RelayUnavailable
from eagle_logger.rainforest.decoding.decode import decode, text_of
from eagle_logger.rainforest.decoding.error_phrases import (
    WORDINGS,
    ErrorMeaning,
    ErrorPhrase,
    error_for,
    meaning_of,
)
from eagle_logger.rainforest.decoding.notifications import plain_text
from eagle_logger.rainforest.decoding.redaction import redacted, said
from eagle_logger.rainforest.source import Decoded, ReplyProblem, UnreadableReply

LONGEST_RETRY_AFTER = 3600.0
"""Seconds: nobody is left alone longer than this, whatever a reply says."""

_LOOKED_AT = 4096
_TAG = re.compile(r"<[^<>]{0,200}>")
_BY_STATUS = {408: "timed_out", 429: "busy", 400: "busy"}
"""400 is what a hung gateway answers."""
_HTML_PAGE = re.compile(
    r"\A\s*<(?:a|b|br|center|div|font|h[1-6]|hr|i|img|link|p|pre|span|strong|style|table)\b"
    r"|<!doctype\s+html|</?(?:html|head|body|title|script|meta)\b",
    re.IGNORECASE,
)
"""The relay answers in fragments of XML, JSON or plain text. A page comes from a proxy, a portal or
a program that failed."""


def interpret(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    secrets: Collection[str] = (),
    wordings: Iterable[ErrorPhrase] = WORDINGS,
) -> Decoded:
    """What a reply holds.

    `headers` are looked up in lower case (or are a mapping that does not mind). Raises
    RelayUnavailable (time-out, busy, empty body, 407, 408, 429, 5xx, a redirect, an HTML page that
    refuses), Refused (credentials, cloud id), UnreadableReply (an unknown reply; carries the
    problem).
    """
    if not 200 <= status <= 299:
        raise _by_status(status, headers, body, secrets, wordings)
    if not body.strip(b"\0 \t\r\n"):
        raise RelayUnavailable("the reply is empty", reason="empty")
    decoded = decode(body, secrets)
    if decoded.known:
        return decoded
    raise _nothing_known(decoded.problems, body, secrets, wordings)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait: a number, or a date seen from the reply's own Date, so that no two clocks
    are compared."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    if re.fullmatch(r"\d{1,9}", value, re.ASCII):
        return min(float(value), LONGEST_RETRY_AFTER)
    until, now = _date(value), _date(headers.get("date", ""))
    if until is None or now is None:
        return None
    return min(max(0.0, (until - now).total_seconds()), LONGEST_RETRY_AFTER)


def _by_status(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    secrets: Collection[str],
    wordings: Iterable[ErrorPhrase],
) -> EagleError:
    words, shown = _words(body), _shown(body, secrets)
    detail = f"status {status} {shown}".rstrip()
    if status in {401, 403}:
        return _refusal(words, body, detail, wordings)
    if status == 407:
        return RelayUnavailable(
            f"a proxy on the way to the relay wants a password: {detail}", reason="proxy"
        )
    if status in _BY_STATUS or status >= 500:
        wording = _meaning(words, body, wordings) if status not in {408, 429} else None
        reason = _BY_STATUS.get(status) or f"http_{status // 100}xx"
        if (
            wording is not None
            and isinstance(refused := error_for(wording, detail), Refused)
            and status == 400
        ):
            return refused
        if wording is not None and wording.reason == "timed_out":
            reason = wording.reason
        return RelayUnavailable(
            f"the relay has no reading now: {detail}",
            reason=reason,
            retry_after=retry_after(headers),
        )
    if 300 <= status <= 399:
        return RelayUnavailable(
            f"the relay points elsewhere, and is not followed: {detail}", reason="redirected"
        )
    wording = _meaning(words, body, wordings)
    if wording is not None:
        return error_for(wording, detail)
    return UnreadableReply(ReplyProblem("status", detail, shown))


def _refusal(words: str, body: bytes, detail: str, wordings: Iterable[ErrorPhrase]) -> EagleError:
    """The error for 401 and 403: the relay refuses this user, unless the body shows that the relay
    did not write it."""
    wording = _meaning(words, body, wordings)
    if wording is not None:
        return error_for(wording, detail)
    return (
        error_for(_PAGE, detail)
        if _is_html(body)
        else Refused(f"the relay refuses this user: {detail}")
    )


def _meaning(words: str, body: bytes, wordings: Iterable[ErrorPhrase]) -> ErrorPhrase | None:
    """The wording that fits. An HTML page refuses nobody, unless it fits a deployment's own
    wording."""
    wording = meaning_of(words, wordings)
    refuses = wording is not None and wording.means is ErrorMeaning.REFUSED
    return _PAGE if refuses and wording in WORDINGS and _is_html(body) else wording


_PAGE = ErrorPhrase(_HTML_PAGE, ErrorMeaning.TRANSIENT, "web_page")


def _is_html(body: bytes) -> bool:
    return _HTML_PAGE.search(text_of(body[:_LOOKED_AT])) is not None


def _nothing_known(
    problems: tuple[ReplyProblem, ...],
    body: bytes,
    secrets: Collection[str],
    wordings: Iterable[ErrorPhrase],
) -> EagleError:
    """A body that holds no notification we know; `problems` say what is there instead, and an error
    says it best."""
    first = problems[0] if problems else ReplyProblem("garbage", "nothing in it", "")
    problem = next((one for one in problems if one.what == "error"), first)
    wording = (
        _meaning(_words(body), body, wordings)
        if problem.what in {"error", "unknown_root", "garbage"}
        else None
    )
    if wording is not None:
        return error_for(wording, _shown(body, secrets))
    return UnreadableReply(problem)


def _words(body: bytes) -> str:
    """What a reply says to a person, for us to judge: its beginning, without tags."""
    return _without_tags(text_of(body[:_LOOKED_AT]))


def _shown(body: bytes, secrets: Collection[str]) -> str:
    """The same, fit to be shown. It is redacted first, while tags still tell what is secret."""
    return said(_without_tags(redacted(text_of(body[:_LOOKED_AT]), secrets)), secrets)


def _without_tags(text: str) -> str:
    return " ".join(plain_text(_TAG.sub(" ", text)).split())


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
