"""Finds whole notifications in the XML fragments that gateways send: hand-written, because what
they send is seldom XML.

Linear in time, no nesting to follow, no entity ever expanded. A notification is whole if its own
end tag comes before the next notification begins and nothing but whole elements stands between;
whatever is not whole is reported, never salvaged.
"""

from __future__ import annotations

import re
from html import escape
from typing import NamedTuple

from eagle_logger.rainforest.decoding import root_elements
from eagle_logger.rainforest.decoding.scan_result import (
    Fragment,
    ScanResult,
    TornNotification,
    collected,
)

# Only a beginning has attributes: an end with something in it is none.
_BORDER = re.compile(rf"<(/)?({root_elements.PATTERN})(?(1)\s*|(?:\s[^<>]*?)?(/?))>", re.IGNORECASE)

# An element with text or none. A `<` that begins no tag counts as text: some firmware escapes
# nothing.
_ELEMENT = re.compile(
    r"<([a-z]\w*)(?:\s[^<>]*)?(?:/>|>([^<]*(?:<(?![/a-z!?])[^<]*)*)</\1\s*>)",
    re.IGNORECASE | re.ASCII,
)
_OTHER_TAG = re.compile(r"<([a-z][\w:.-]{0,63})", re.IGNORECASE | re.ASCII)
_TEXT_BEGINS = re.compile(r"<text(?:\s[^<>]*)?>", re.IGNORECASE)
_HTML_TAG = re.compile(
    r"</?(?:a|b|big|blockquote|br|center|div|em|font|h[1-6]|hr|i|img|li|ol|p|pre|s|small|span|strong|sub|sup|table|tbody|td|th|tr|u|ul)"
    r"(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
_TEXT_ENDS = re.compile(r"</text\s*>", re.IGNORECASE)
_HIDDEN = "\0"
"""For the `<` of such a tag. A reply's own NULs are blanks by now."""

_MARK = re.compile(r"<!--|<!\[CDATA\[|<!DOCTYPE[^<>\[]*\[|<!|<\?", re.IGNORECASE)
_CLOSING = {"<!-": "-->", "<![": "]]>", "<!D": "]>", "<!d": "]>", "<?": "?>"}

_LONGEST_PLAIN = 1 << 14
_CONTAINERS = frozenset(root_elements.CONTAINERS)
_BEGINNINGS = {
    f"<{root}>": root for root in root_elements.SPELLING.values() if root not in _CONTAINERS
}


def scan(text: str) -> ScanResult:
    """The whole notifications in a text, and what else is there. Never raises."""
    hidden = ""
    if "<!" in text or "<?" in text:
        text, hidden = _without_markup(text)
    found = (_only_one(text) if len(text) <= _LONGEST_PLAIN else None) or _Scan(text).run()
    if hidden:
        found.torn.append(
            TornNotification(
                "truncated", "a comment, a CDATA section or a DOCTYPE has no end of its own", hidden
            )
        )
    return found


def _only_one(text: str) -> ScanResult | None:
    """What nearly every reply is, one plain notification and blanks: found in a third of the time,
    with the same outcome."""
    parts = _ELEMENT.split(text)
    root = _BEGINNINGS.get(parts[0].strip())
    if root is None or parts[-1].strip() != f"</{root}>" or "".join(parts[3:-3:3]).strip():
        return None
    fragment = collected(root, parts[1::3], [inside or "" for inside in parts[2::3]], text)
    return (
        ScanResult([fragment])
        if root_elements.SPELLING.keys().isdisjoint(fragment.fields)
        else None
    )


class _Open(NamedTuple):
    root: str
    begin: int
    inside: int


class _Scan:
    """One pass over the tags of notifications and containers. At most one notification is open:
    they never nest."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._found = ScanResult()
        self._open: _Open | None = None
        self._unclosed = 0
        self._stray_end = ""
        self._outside: list[str] = []

    def run(self) -> ScanResult:
        end = 0
        for border in _BORDER.finditer(self._text):
            root = root_elements.SPELLING[border[2].lower()]
            if self._found.is_full and not border[1] and root not in _CONTAINERS:
                self._found.leave(self._text[self._open.begin if self._open else border.start() :])
                return self._found
            if self._open is None:
                self._outside.append(self._text[end : border.start()])
            if root in _CONTAINERS:
                self._container(border)
            elif border[1]:
                self._end_of(root, border)
            else:
                self._begin(root, border)
            end = border.end()
        if self._open is None:
            self._outside.append(self._text[end:])
        self._give_up(len(self._text))
        if self._unclosed > 0:
            self._found.torn.append(
                TornNotification("truncated", "a list has no end of its own", "")
            )
        self._look_outside("".join(self._outside))
        return self._found

    def _container(self, border: re.Match[str]) -> None:
        self._give_up(border.start())
        self._found.containers = True
        if not border[3]:
            self._unclosed += -1 if border[1] else 1

    def _begin(self, root: str, border: re.Match[str]) -> None:
        self._give_up(border.start())
        if border[3]:
            self._found.fragments.append(Fragment(root, {}, border[0]))
        else:
            self._open = _Open(root, border.start(), border.end())

    def _end_of(self, root: str, border: re.Match[str]) -> None:
        if self._open is None:
            self._outside.append(border[0])
            self._stray_end = root
        elif root == self._open.root:
            self._take(self._open, border)
            self._open = None

    def _take(self, opened: _Open, border: re.Match[str]) -> None:
        inside, source = (
            self._text[opened.inside : border.start()],
            self._text[opened.begin : border.end()],
        )
        parts = _ELEMENT.split(inside)
        if "".join(parts[::3]).strip():
            parts = [
                (one or "").replace(_HIDDEN, "<")
                for one in _ELEMENT.split(_with_markup_hidden(inside))
            ]
        if "".join(parts[::3]).strip():
            self._found.torn.append(
                TornNotification(
                    "malformed", f"{opened.root} holds something that is no whole element", source
                )
            )
        else:
            texts = [text or "" for text in parts[2::3]]
            self._found.fragments.append(collected(opened.root, parts[1::3], texts, source))

    def _give_up(self, end: int) -> None:
        """Whatever is open has no end of its own before `end`."""
        if self._open is not None:
            root, begin, _ = self._open
            self._found.torn.append(
                TornNotification(
                    "truncated", f"{root} has no end of its own", self._text[begin:end]
                )
            )
            self._open = None

    def _look_outside(self, outside: str) -> None:
        """Report what stands beside the notifications; blanks are nothing."""
        if not outside or outside.isspace():
            return
        tag = _OTHER_TAG.search(outside)
        if self._stray_end:
            torn = TornNotification(
                "truncated", f"the end of a {self._stray_end} that has no beginning", outside
            )
        elif tag is None:
            torn = TornNotification("garbage", "text that belongs to no notification", outside)
        elif tag[1].lower() == "error":
            torn = TornNotification("error", "the reply is an error", outside)
        elif ">" not in outside[tag.end() :]:
            torn = TornNotification("truncated", f"<{tag[1]} breaks off", outside)
        else:
            torn = TornNotification(
                "unknown_root", f"<{tag[1]}> is no notification we know", outside
            )
        self._found.torn.append(torn)


def _with_markup_hidden(inside: str) -> str:
    """A message's text may hold a little HTML (`Save <b>now</b>`): that is text. Any other tag is
    none of a message's."""
    begin = _TEXT_BEGINS.search(inside)
    end = _TEXT_ENDS.search(inside, begin.end()) if begin else None
    if begin is None or end is None:
        return inside
    text = _HTML_TAG.sub(lambda tag: _HIDDEN + tag[0][1:], inside[begin.end() : end.start()])
    return inside[: begin.end()] + text + inside[end.start() :]


def _without_markup(text: str) -> tuple[str, str]:
    """The text without comments, declarations and processing instructions, and with what CDATA
    holds escaped; and what a comment, CDATA or DOCTYPE hides that has no end. Any other mark
    without an end stays: one wrong byte can make one."""
    parts: list[str] = []
    missing: set[str] = set()
    end = 0
    for mark in _MARK.finditer(text):
        if mark.start() < end:
            continue
        closing = _CLOSING.get(mark[0][:3], ">")
        close = -1 if closing in missing else text.find(closing, mark.end())
        if close < 0 and len(mark[0]) > 2:
            return "".join([*parts, text[end : mark.start()]]), text[mark.start() :]
        if close < 0:
            missing.add(closing)
            continue
        parts += (
            text[end : mark.start()],
            escape(text[mark.end() : close]) if closing == "]]>" else " ",
        )
        end = close + len(closing)
    return "".join([*parts, text[end:]]), ""
