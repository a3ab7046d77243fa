"""From the bytes of a reply to readings and problems.

Bytes become text here, text becomes notifications (`xml_replies`, `json_replies`), and a
notification becomes a reading (`notifications`). Nothing here raises, and the size of a reply
bounds the time and memory that it costs. docs/reference/quirks.md lists what gateways were seen to
send, and what comes of it; it is made from tests/unit/rainforest/decoding/quirks.
"""

from __future__ import annotations

import codecs
from collections.abc import Collection
from dataclasses import replace

from eagle_logger.core.readings import Reading, Undated
from eagle_logger.rainforest.decoding import json_replies, root_elements, xml_replies
from eagle_logger.rainforest.decoding.notifications import (
    AmbiguousValue,
    NoCurrentValue,
    reading_of,
)
from eagle_logger.rainforest.decoding.numbers import MissingField, NotAReading, TimeNotSet
from eagle_logger.rainforest.decoding.plain_demand import plain_demand
from eagle_logger.rainforest.decoding.redaction import redacted
from eagle_logger.rainforest.decoding.scan_result import ScanResult
from eagle_logger.rainforest.source import Decoded, ReplyProblem

LARGEST_BODY = 1 << 16
"""Bytes that are read of a reply; an ordinary one has a few hundred. Without this bound, one reply
could block the event loop."""

MOST_PROBLEMS = 3
"""Problems of one reply that are kept, with a sample each. The others are only counted."""

_LARGEST_DECODED_BYTEWISE = 1 << 12
_CP1252_HANDLER = "eagle-logger-cp1252"
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_BLANKS = "\ufeff \t\r\n\v\f"


def decode(body: bytes, secrets: Collection[str] = ()) -> Decoded:
    """Every whole notification of a reply, and a problem for everything else in it.

    No problem shows any of the `secrets` (the user's e-mail address and password). Of a body that
    is too large, the first `LARGEST_BODY` bytes are decoded, and its size is a problem.
    """
    if len(body) > LARGEST_BODY:
        return _decode_too_large(body, secrets)
    text = text_of(body)
    reading = plain_demand(text)
    return decode_text(text, secrets) if reading is None else Decoded((reading,), (), known=True)


def decode_text(text: str, secrets: Collection[str] = ()) -> Decoded:
    """The same for a reply's text, without the short way for a plain demand."""
    scanned = _scan(text)
    readings: list[Reading] = []
    undated: list[Undated] = []
    problems = _Problems(secrets)
    for notification in scanned.whole:
        if notification.root not in root_elements.READINGS:
            continue
        try:
            reading = reading_of(notification)
        except NoCurrentValue:
            continue
        except ValueError as exc:
            problems.add(_problem_word(exc), f"{notification.root}: {exc}", notification.source)
            continue
        if isinstance(reading, Undated):
            undated.append(reading)
        else:
            readings.append(reading)
    for torn in scanned.torn:
        problems.add(*torn)
    known = scanned.has_container or bool(scanned.whole)
    return Decoded(tuple(readings), problems.kept(), known=known, undated=tuple(undated))


def text_of(body: bytes) -> str:
    """The reply as text, without the blanks it begins with.

    It is UTF-8, and cp1252 where it is not UTF-8, as in captured messages. A NUL counts as a blank.
    """
    if body.startswith(_UTF16_MARKS):
        return body.decode("utf-16", "replace").replace("\0", " ").lstrip(_BLANKS)
    body = body.replace(b"\0", b" ")
    try:
        return body.decode().lstrip(_BLANKS)
    except UnicodeDecodeError:
        return _mixed_text(body).lstrip(_BLANKS)


def _decode_too_large(body: bytes, secrets: Collection[str]) -> Decoded:
    text = text_of(body[:LARGEST_BODY])
    decoded = decode_text(text, secrets)
    detail = f"more than {LARGEST_BODY} bytes: the rest was not read"
    too_large = ReplyProblem("too_large", detail, redacted(text, secrets))
    return replace(decoded, problems=(too_large, *decoded.problems[: MOST_PROBLEMS - 1]))


def _mixed_text(body: bytes) -> str:
    """Text of UTF-8 in which single bytes are cp1252, such as a character cut off at the end.

    A large body is taken as cp1252 altogether, because each byte that is not UTF-8 takes long.
    """
    if len(body) <= _LARGEST_DECODED_BYTEWISE:
        return body.decode("utf-8", _CP1252_HANDLER)
    return body.decode("cp1252", "replace")


def _as_cp1252(exc: UnicodeError) -> tuple[str, int]:
    if not isinstance(exc, UnicodeDecodeError):
        raise exc
    return exc.object[exc.start : exc.end].decode("cp1252", "replace"), exc.end


codecs.register_error(_CP1252_HANDLER, _as_cp1252)


def _scan(text: str) -> ScanResult:
    """Scan for XML or for JSON, as the first character says.

    JSON may lack its outer braces. Other text is searched for XML first, then for JSON.
    """
    if text.startswith(("{", '"', "[")):
        return json_replies.scan(text)
    as_xml = xml_replies.scan(text)
    if text.startswith("<") or as_xml.whole:
        return as_xml
    as_json = json_replies.scan(text)
    return as_json if as_json.whole else as_xml


class _Problems:
    """The problems of one reply, redacted. A hostile reply may have thousands."""

    def __init__(self, secrets: Collection[str]) -> None:
        self._secrets = secrets
        self._kept: list[ReplyProblem] = []
        self._not_kept = 0

    def add(self, what: str, detail: str, source: str) -> None:
        if len(self._kept) >= MOST_PROBLEMS:
            self._not_kept += 1
            return
        detail, sample = redacted(detail, self._secrets), redacted(source, self._secrets)
        self._kept.append(ReplyProblem(what, detail, sample))

    def kept(self) -> tuple[ReplyProblem, ...]:
        if self._not_kept:
            return (*self._kept, ReplyProblem("many", f"{self._not_kept} more problems"))
        return tuple(self._kept)


def _problem_word(exc: ValueError) -> str:
    match exc:
        case TimeNotSet():
            return "no_time"
        case MissingField():
            return "missing"
        case NotAReading():
            return "sentinel"
        case AmbiguousValue():
            return "disputed"
        case _:
            return "bad_number"
