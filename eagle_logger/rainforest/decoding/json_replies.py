"""Finds whole notifications in the JSON that gateways send, although it is often not JSON.

Captured lists come without their outer braces, roots stand side by side, ends are cut off
(docs/reference/quirks.md, "JSON"). The rule is that of XML: a notification is whole if its own
closing brace comes before the next one begins. `"Name": {` cannot stand inside a string, where its
quotes would be escaped. So each notification is read by itself, and one that is cut off in the
middle of a string costs only itself.
"""

from __future__ import annotations

import json
import re
from itertools import zip_longest

from eagle_logger.rainforest.decoding import root_elements
from eagle_logger.rainforest.decoding.scan_result import (
    ScanResult,
    TornNotification,
    WholeNotification,
    whole_notification,
)

_ROOT = re.compile(rf'"({root_elements.PATTERN})"\s*:\s*(?=[{{\[])', re.IGNORECASE)
_OTHER_NAME = re.compile(r'"([A-Za-z]\w{0,63})"\s*:')
_MEMBER = re.compile(
    r'\s*"([A-Za-z]\w*)"\s*:\s*(?:"([^"\\]*(?:\\.[^"\\]*)*)"|([\w.+-]+))\s*(,\s*\}|[,}])',
    re.ASCII | re.DOTALL,
)
_NEXT_ITEM = re.compile(r"\s*,\s*\{")
_EMPTY_OBJECT_END = re.compile(r"\s*\}")

_PUNCTUATION = "{}[], \t\r\n"
_CONTAINERS = frozenset(root_elements.CONTAINERS)
_LONGEST_NESTED = 1 << 16


class _Members(tuple[tuple[str, object], ...]):
    """The members of an object in their order. Their names may repeat."""

    __slots__ = ()


_DECODER = json.JSONDecoder(
    object_pairs_hook=_Members, parse_float=str, parse_int=str, parse_constant=str, strict=False
)


def scan(text: str) -> ScanResult:
    """The whole notifications in a text, and what else it holds. Never raises."""
    result = ScanResult()
    roots = list(_ROOT.finditer(text))
    outside = [text[: roots[0].start()] if roots else text]
    for match, following in zip_longest(roots, roots[1:]):
        root = root_elements.CANONICAL_NAMES[match[1].lower()]
        if result.is_full and root not in _CONTAINERS:
            result.report_unread(text[match.start() :])
            return result
        segment = text[match.end() : following.start() if following else None]
        if root in _CONTAINERS:
            result.has_container = True
            outside.append(segment)
        else:
            outside.append(segment[_read_notifications(result, root, segment) :])
    _report_outside(result, " ".join(part for part in outside if part.strip(_PUNCTUATION)))
    return result


def _read_notifications(result: ScanResult, root: str, text: str) -> int:
    """Read the object, or the list of objects, at the beginning of `text`. Returns its end."""
    begin, end = text.find("{"), 0
    while begin >= 0:
        if result.is_full:
            result.report_unread(text[begin:])
            return len(text)
        notification, end = _read_object(root, text, begin)
        if notification is None:
            detail = f"{root} has no end of its own, or holds more than text"
            result.torn.append(TornNotification("truncated", detail, text[begin:]))
            return len(text)
        result.whole.append(notification)
        following = _NEXT_ITEM.match(text, end) if text[0] == "[" else None
        begin = following.end() - 1 if following else -1
    return end


def _read_object(root: str, text: str, begin: int) -> tuple[WholeNotification | None, int]:
    """The flat object that begins at `begin`, and its end; None if it is not whole."""
    empty = _EMPTY_OBJECT_END.match(text, begin + 1)
    if empty:
        return WholeNotification(root, {}, text[begin : empty.end()]), empty.end()
    names: list[str] = []
    texts: list[str] = []
    end = begin + 1
    while member := _MEMBER.match(text, end):
        name, quoted, bare, closing = member.groups()
        names.append(name)
        texts.append(_bare_word(bare) if quoted is None else _unescaped(quoted))
        end = member.end()
        if closing[-1] == "}":
            return whole_notification(root, names, texts, text[begin:end]), end
    return _read_nested_object(root, text, begin)


def _read_nested_object(root: str, text: str, begin: int) -> tuple[WholeNotification | None, int]:
    """The same for an object with a list (of a field that repeats), or with an empty object (for a
    field without a value)."""
    if len(text) - begin > _LONGEST_NESTED:
        return None, begin
    try:
        members, end = _DECODER.raw_decode(text, begin)
    except (ValueError, RecursionError):
        return None, begin
    names: list[str] = []
    texts: list[str] = []
    for name, value in members:
        for item in value if type(value) is list and value else [value]:
            if isinstance(item, list | _Members) and item:
                # No gateway nests further. Another notification was spliced into this one, over
                # some of its members.
                return None, begin
            names.append(name)
            texts.append(_as_spelled(item))
    return whole_notification(root, names, texts, text[begin:end]), end


def _as_spelled(value: object) -> str:
    """A value as text. An empty object or list becomes "": gateways write empty elements so."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None or isinstance(value, list | _Members) else str(value)


def _bare_word(word: str) -> str:
    return "" if word == "null" else word


def _unescaped(inside_quotes: str) -> str:
    if "\\" not in inside_quotes:
        return inside_quotes
    try:
        return str(json.loads(f'"{inside_quotes}"', strict=False))
    except ValueError:
        return inside_quotes


def _report_outside(result: ScanResult, outside: str) -> None:
    """Report what stands beside the notifications."""
    if not outside:
        return
    name = _OTHER_NAME.search(outside)
    if name is None:
        what, detail = "garbage", "text that belongs to no notification"
    elif name[1].lower() == "error":
        what, detail = "error", "the reply is an error"
    else:
        what, detail = "unknown_root", f'"{name[1]}" is no known notification'
    result.torn.append(TornNotification(what, detail, outside))
