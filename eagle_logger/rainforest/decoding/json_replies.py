"""Finds whole notifications in the JSON that gateways send: lists without their outer braces, roots
side by side, cut-off ends.

The same rule as for XML: a notification is whole if its own closing brace comes before the next one
begins. `"Name": {` is never inside a string (its quotes would be escaped), so each notification is
read for itself, and one that is cut off in the middle of a string costs only itself.
"""

from __future__ import annotations

import json
import re
from itertools import zip_longest

from eagle_logger.rainforest.decoding import root_elements
from eagle_logger.rainforest.decoding.scan_result import (
    Fragment,
    ScanResult,
    TornNotification,
    collected,
)

_ROOT = re.compile(rf'"({root_elements.PATTERN})"\s*:\s*(?=[{{\[])', re.IGNORECASE)
_OTHER_NAME = re.compile(r'"([A-Za-z]\w{0,63})"\s*:')
_MEMBER = re.compile(
    r'\s*"([A-Za-z]\w*)"\s*:\s*(?:"([^"\\]*(?:\\.[^"\\]*)*)"|([\w.+-]+))\s*(,\s*\}|[,}])',
    re.ASCII | re.DOTALL,
)
_NEXT_ITEM = re.compile(r"\s*,\s*\{")
_EMPTY = re.compile(r"\s*\}")

_PUNCTUATION = "{}[], \t\r\n"
_CONTAINERS = frozenset(root_elements.CONTAINERS)
_LONGEST_NESTED = 1 << 16


class _Members(tuple[tuple[str, object], ...]):
    """An object's members in their order: names may repeat."""

    __slots__ = ()


_DECODER = json.JSONDecoder(
    object_pairs_hook=_Members, parse_float=str, parse_int=str, parse_constant=str, strict=False
)


def scan(text: str) -> ScanResult:
    """The whole notifications in a text, and what else is there. Never raises."""
    found = ScanResult()
    borders = list(_ROOT.finditer(text))
    outside = [text[: borders[0].start()] if borders else text]
    for border, following in zip_longest(borders, borders[1:]):
        root = root_elements.SPELLING[border[1].lower()]
        if found.is_full and root not in _CONTAINERS:
            found.leave(text[border.start() :])
            return found
        segment = text[border.end() : following.start() if following else None]
        if root in _CONTAINERS:
            found.containers = True
            outside.append(segment)
        else:
            outside.append(segment[_read_notification(found, root, segment) :])
    _look_outside(found, " ".join(one for one in outside if one.strip(_PUNCTUATION)))
    return found


def _read_notification(found: ScanResult, root: str, text: str) -> int:
    """One object, or a list of them, at the beginning of `text`: returns where it ends."""
    begin, end = text.find("{"), 0
    while begin >= 0:
        if found.is_full:
            found.leave(text[begin:])
            return len(text)
        fragment, end = _object(root, text, begin)
        if fragment is None:
            found.torn.append(
                TornNotification(
                    "truncated",
                    f"{root} has no end of its own, or holds more than text",
                    text[begin:],
                )
            )
            return len(text)
        found.fragments.append(fragment)
        following = _NEXT_ITEM.match(text, end) if text[0] == "[" else None
        begin = following.end() - 1 if following else -1
    return end


def _object(root: str, text: str, begin: int) -> tuple[Fragment | None, int]:
    """The flat object at `begin` and where it ends; None if it is not whole."""
    empty = _EMPTY.match(text, begin + 1)
    if empty:
        return Fragment(root, {}, text[begin : empty.end()]), empty.end()
    names: list[str] = []
    texts: list[str] = []
    end = begin + 1
    while member := _MEMBER.match(text, end):
        name, quoted, bare, closing = member.groups()
        names.append(name)
        texts.append(_bare(bare) if quoted is None else _unquoted(quoted))
        end = member.end()
        if closing[-1] == "}":
            return collected(root, names, texts, text[begin:end]), end
    return _with_nested(root, text, begin)


def _with_nested(root: str, text: str, begin: int) -> tuple[Fragment | None, int]:
    """The same, where a member holds a list (a field that repeats) or an empty object (a field
    without a value)."""
    if len(text) - begin > _LONGEST_NESTED:
        return None, begin
    try:
        members, end = _DECODER.raw_decode(text, begin)
    except (ValueError, RecursionError):
        return None, begin
    told = [
        (name, one)
        for name, value in members
        for one in (value if type(value) is list and value else [value])
    ]
    if any(isinstance(one, list | _Members) and one for _, one in told):
        return (
            None,
            begin,
        )  # no gateway nests: another notification was spliced into this one, over some of its members
    return collected(
        root, [name for name, _ in told], [_told(value) for _, value in told], text[begin:end]
    ), end


def _told(value: object) -> str:
    """A value as text, as it was spelled; empty for an empty object or list, which is how an empty
    element comes out."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None or isinstance(value, list | _Members) else str(value)


def _bare(word: str) -> str:
    return "" if word == "null" else word


def _unquoted(inside: str) -> str:
    if "\\" not in inside:
        return inside
    try:
        return str(json.loads(f'"{inside}"', strict=False))
    except ValueError:
        return inside


def _look_outside(found: ScanResult, outside: str) -> None:
    """Report what stands beside the notifications."""
    if not outside:
        return
    name = _OTHER_NAME.search(outside)
    if name is None:
        torn = TornNotification("garbage", "text that belongs to no notification", outside)
    elif name[1].lower() == "error":
        torn = TornNotification("error", "the reply is an error", outside)
    else:
        torn = TornNotification("unknown_root", f'"{name[1]}" is no notification we know', outside)
    found.torn.append(torn)
