"""From the bytes of a reply to readings and problems. Pure, never raises, bounded in time and
memory by the reply's size."""

from __future__ import annotations

import codecs
from collections.abc import Collection
from dataclasses import replace

from eagle_logger.core.readings import Reading, Undated
from eagle_logger.rainforest.decoding import json_replies, root_elements, xml_replies
from eagle_logger.rainforest.decoding.notifications import AmbiguousValue, EmptyMessage, reading_of
from eagle_logger.rainforest.decoding.numbers import MissingField, NotAReading, TimeNotSet
from eagle_logger.rainforest.decoding.plain_demand import plain_demand
from eagle_logger.rainforest.decoding.redaction import redacted
from eagle_logger.rainforest.decoding.scan_result import ScanResult
from eagle_logger.rainforest.source import Decoded, ReplyProblem

LARGEST_BODY = 1 << 16
"""Bytes that are read of a reply; an ordinary one has a few hundred. The bound keeps one reply from
blocking the event loop."""

MOST_PROBLEMS = 3
"""Problems of one reply that are kept, with a sample each. The others are only counted."""

_LARGEST_MIXED = 1 << 12
_CP1252 = "eagle-logger-cp1252"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_BLANK = "\ufeff \t\r\n\v\f"


def decode(body: bytes, secrets: Collection[str] = ()) -> Decoded:
    """What a reply holds: every whole notification, and a problem for whatever else is there.

    No problem shows any of the `secrets` (the user's e-mail address and password). Of a body that
    is too large, the first `LARGEST_BODY` bytes are read, and the size is a problem.
    """
    if len(body) > LARGEST_BODY:
        text = text_of(body[:LARGEST_BODY])
        found, shown = closely(text, secrets), redacted(text, secrets)
        detail = f"more than {LARGEST_BODY} bytes: the rest was not read"
        return replace(
            found,
            problems=(
                ReplyProblem("too_large", detail, shown),
                *found.problems[: MOST_PROBLEMS - 1],
            ),
        )
    text = text_of(body)
    reading = plain_demand(text)
    return closely(text, secrets) if reading is None else Decoded((reading,), (), known=True)


def closely(text: str, secrets: Collection[str] = ()) -> Decoded:
    """What this text holds, whatever it is."""
    scanned = _scan(text)
    readings: list[Reading] = []
    undated: list[Undated] = []
    problems = _Problems(secrets)
    for fragment in scanned.fragments:
        if fragment.root not in root_elements.READINGS:
            continue
        try:
            match reading_of(fragment):
                case Undated() as one:
                    undated.append(one)
                case one:
                    readings.append(one)
        except EmptyMessage:
            continue
        except ValueError as exc:
            problems.add(_word_for(exc), f"{fragment.root}: {exc}", fragment.source)
    for torn in scanned.torn:
        problems.add(*torn)
    known = scanned.containers or bool(scanned.fragments)
    return Decoded(tuple(readings), problems.kept(), known=known, undated=tuple(undated))


def text_of(body: bytes) -> str:
    """The reply as text, without what blanks it begins with: UTF-8, and cp1252 where it is not. A
    NUL is a blank."""
    body = body if body.startswith(_UTF16) else body.replace(b"\0", b" ")
    if body.startswith(_UTF16):
        return body.decode("utf-16", "replace").replace("\0", " ").lstrip(_BLANK)
    try:
        return body.decode().lstrip(_BLANK)
    except UnicodeDecodeError:
        return _mixed(body).lstrip(_BLANK)


def _mixed(body: bytes) -> str:
    """Decode byte by byte, so that a character cut off at the end does not spoil the others. A
    large body is decoded as cp1252, because each such byte takes long."""
    return (
        body.decode("utf-8", _CP1252)
        if len(body) <= _LARGEST_MIXED
        else body.decode("cp1252", "replace")
    )


def _as_cp1252(wrong: UnicodeError) -> tuple[str, int]:
    if not isinstance(wrong, UnicodeDecodeError):
        raise wrong
    return wrong.object[wrong.start : wrong.end].decode("cp1252", "replace"), wrong.end


codecs.register_error(_CP1252, _as_cp1252)


def _scan(text: str) -> ScanResult:
    """By the first character XML or JSON, with or without its outer braces; or plain text, which
    may yet hold something."""
    if text.startswith(("{", '"', "[")):
        return json_replies.scan(text)
    scanned = xml_replies.scan(text)
    if text.startswith("<") or scanned.fragments:
        return scanned
    found = json_replies.scan(text)
    return found if found.fragments else scanned


class _Problems:
    """Those of one reply, redacted; a hostile one may hold thousands."""

    def __init__(self, secrets: Collection[str]) -> None:
        self._secrets = secrets
        self._told: list[ReplyProblem] = []
        self._more = 0

    def add(self, what: str, detail: str, source: str) -> None:
        if len(self._told) < MOST_PROBLEMS:
            self._told.append(
                ReplyProblem(what, redacted(detail, self._secrets), redacted(source, self._secrets))
            )
        else:
            self._more += 1

    def kept(self) -> tuple[ReplyProblem, ...]:
        return (
            (*self._told, ReplyProblem("many", f"{self._more} more problems"))
            if self._more
            else tuple(self._told)
        )


def _word_for(wrong: ValueError) -> str:
    match wrong:
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
