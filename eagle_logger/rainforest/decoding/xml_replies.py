"""Finds whole notifications in the XML fragments that gateways send.

It is written by hand, because what gateways send is seldom XML (docs/reference/quirks.md, "XML").
It takes linear time, follows no nesting and expands no entity. A notification is whole if its own
end tag comes before the next notification begins, and nothing but whole elements stands between.
Whatever is not whole is reported and never salvaged, because what is left of it may be wrong.
"""

from __future__ import annotations

import re
from html import escape
from typing import NamedTuple

from eagle_logger.rainforest.decoding import root_elements
from eagle_logger.rainforest.decoding.scan_result import (
    ScanResult,
    TornNotification,
    WholeNotification,
    whole_notification,
)

# The tag of a notification or container: (1) the slash of an end tag, (2) the name, (3) the slash
# of an empty element. Only a start tag has attributes: an end tag with something in it is none.
_ROOT_TAG = re.compile(
    rf"<(/)?({root_elements.PATTERN})(?(1)\s*|(?:\s[^<>]*?)?(/?))>", re.IGNORECASE
)

# An element with text or none: (1) its name, (2) its text. A `<` that begins no tag counts as text,
# because some firmware escapes nothing.
_ELEMENT = re.compile(
    r"<([a-z]\w*)(?:\s[^<>]*)?(?:/>|>([^<]*(?:<(?![/a-z!?])[^<]*)*)</\1\s*>)",
    re.IGNORECASE | re.ASCII,
)
_ANY_TAG = re.compile(r"<([a-z][\w:.-]{0,63})", re.IGNORECASE | re.ASCII)
_TEXT_BEGINS = re.compile(r"<text(?:\s[^<>]*)?>", re.IGNORECASE)
_TEXT_ENDS = re.compile(r"</text\s*>", re.IGNORECASE)
_HTML_TAG = re.compile(
    r"</?(?:a|b|big|blockquote|br|center|div|em|font|h[1-6]|hr|i|img|li|ol|p|pre|s|small|span"
    r"|strong|sub|sup|table|tbody|td|th|tr|u|ul)(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
_HIDDEN_BRACKET = "\0"
"""Stands for the `<` of an HTML tag. A reply's own NULs are blanks by now."""

_MARKUP = re.compile(r"<!--|<!\[CDATA\[|<!DOCTYPE[^<>\[]*\[|<!|<\?", re.IGNORECASE)
_MARKUP_ENDS = {"<!-": "-->", "<![": "]]>", "<!D": "]>", "<!d": "]>", "<?": "?>"}

_CONTAINERS = frozenset(root_elements.CONTAINERS)


def scan(text: str) -> ScanResult:
    """The whole notifications in a text, and what else it holds. Never raises."""
    unclosed = ""
    if "<!" in text or "<?" in text:
        text, unclosed = without_markup(text)
    result = _Scanner(text).run()
    if unclosed:
        detail = "a comment, a CDATA section or a DOCTYPE has no end of its own"
        result.torn.append(TornNotification("truncated", detail, unclosed))
    return result


class _OpenNotification(NamedTuple):
    root: str
    begin: int
    """Where its start tag begins."""
    inside: int
    """Where its start tag ends."""


class _Scanner:
    """One pass over the tags of notifications and containers.

    At most one notification is open at a time, because they never nest.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._result = ScanResult()
        self._open: _OpenNotification | None = None
        self._open_containers = 0
        self._stray_end = ""
        self._outside: list[str] = []

    def run(self) -> ScanResult:
        text, result, end = self._text, self._result, 0
        for tag in _ROOT_TAG.finditer(text):
            root = root_elements.CANONICAL_NAMES[tag[2].lower()]
            is_end_tag, is_container = bool(tag[1]), root in _CONTAINERS
            if result.is_full and not is_end_tag and not is_container:
                result.report_unread(text[self._open.begin if self._open else tag.start() :])
                return result
            if self._open is None:
                self._outside.append(text[end : tag.start()])
            if is_container:
                self._pass_container_tag(tag)
            elif is_end_tag:
                self._end_notification(root, tag)
            else:
                self._begin_notification(root, tag)
            end = tag.end()
        if self._open is None:
            self._outside.append(text[end:])
        self._report_open_as_torn(len(text))
        if self._open_containers > 0:
            self._report("truncated", "a list has no end of its own", "")
        self._report_outside("".join(self._outside))
        return result

    def _pass_container_tag(self, tag: re.Match[str]) -> None:
        self._report_open_as_torn(tag.start())
        self._result.has_container = True
        is_empty_element = bool(tag[3])
        if not is_empty_element:
            self._open_containers += -1 if tag[1] else 1

    def _begin_notification(self, root: str, tag: re.Match[str]) -> None:
        self._report_open_as_torn(tag.start())
        is_empty_element = bool(tag[3])
        if is_empty_element:
            self._result.whole.append(WholeNotification(root, {}, tag[0]))
        else:
            self._open = _OpenNotification(root, tag.start(), tag.end())

    def _end_notification(self, root: str, tag: re.Match[str]) -> None:
        if self._open is None:
            self._outside.append(tag[0])
            self._stray_end = root
        elif root == self._open.root:
            self._read_elements(self._open, tag)
            self._open = None

    def _read_elements(self, opened: _OpenNotification, end_tag: re.Match[str]) -> None:
        inside = self._text[opened.inside : end_tag.start()]
        source = self._text[opened.begin : end_tag.end()]
        elements = _elements_of(inside) or _elements_with_html(inside)
        if elements is None:
            detail = f"{opened.root} holds something that is no whole element"
            self._report("malformed", detail, source)
            return
        self._result.whole.append(whole_notification(opened.root, *elements, source))

    def _report_open_as_torn(self, end: int) -> None:
        """Give up the open notification: it has no end tag of its own before `end`."""
        if self._open is not None:
            root, begin, _ = self._open
            self._report("truncated", f"{root} has no end of its own", self._text[begin:end])
            self._open = None

    def _report_outside(self, outside: str) -> None:
        """Report what stands beside the notifications, unless it is blank."""
        if not outside or outside.isspace():
            return
        tag = _ANY_TAG.search(outside)
        if self._stray_end:
            detail = f"the end of a {self._stray_end} that has no beginning"
            self._report("truncated", detail, outside)
        elif tag is None:
            self._report("garbage", "text that belongs to no notification", outside)
        elif tag[1].lower() == "error":
            self._report("error", "the reply is an error", outside)
        elif ">" not in outside[tag.end() :]:
            self._report("truncated", f"<{tag[1]} breaks off", outside)
        else:
            self._report("unknown_root", f"<{tag[1]}> is no known notification", outside)

    def _report(self, what: str, detail: str, source: str) -> None:
        self._result.torn.append(TornNotification(what, detail, source))


def _elements_of(inside: str) -> tuple[list[str], list[str]] | None:
    """The names and the texts of a notification's elements; None if it holds anything else."""
    parts = _ELEMENT.split(inside)
    beside_elements, names, texts = parts[::3], parts[1::3], parts[2::3]
    if "".join(beside_elements).strip():
        return None
    return names, [text or "" for text in texts]


def _elements_with_html(inside: str) -> tuple[list[str], list[str]] | None:
    """The same for a notification whose Text holds HTML."""
    elements = _elements_of(_with_html_hidden(inside))
    if elements is None:
        return None
    names, texts = elements
    return names, [text.replace(_HIDDEN_BRACKET, "<") for text in texts]


def _with_html_hidden(inside: str) -> str:
    """The inside of a notification, with the HTML tags of its Text made plain text.

    A message's Text may hold a little HTML (`Save <b>now</b>`). Any other tag is no part of a Text.
    """
    begin = _TEXT_BEGINS.search(inside)
    end = _TEXT_ENDS.search(inside, begin.end()) if begin else None
    if begin is None or end is None:
        return inside
    text = inside[begin.end() : end.start()]
    text = _HTML_TAG.sub(lambda tag: _HIDDEN_BRACKET + tag[0][1:], text)
    return inside[: begin.end()] + text + inside[end.start() :]


def without_markup(text: str) -> tuple[str, str]:
    """The text without comments, declarations and processing instructions, and with the content of
    CDATA escaped; then the rest of the text from a comment, CDATA or DOCTYPE on that has no end.

    Another mark without an end (`<!`, `<?`) stays where it is, because one wrong byte can make it.
    """
    parts: list[str] = []
    missing_ends: set[str] = set()
    end = 0
    for mark in _MARKUP.finditer(text):
        if mark.start() < end:
            continue
        closing = _MARKUP_ENDS.get(mark[0][:3], ">")
        close = -1 if closing in missing_ends else text.find(closing, mark.end())
        if close < 0 and len(mark[0]) > 2:
            return "".join([*parts, text[end : mark.start()]]), text[mark.start() :]
        if close < 0:
            missing_ends.add(closing)
            continue
        content = escape(text[mark.end() : close]) if closing == "]]>" else " "
        parts += text[end : mark.start()], content
        end = close + len(closing)
    return "".join([*parts, text[end:]]), ""
