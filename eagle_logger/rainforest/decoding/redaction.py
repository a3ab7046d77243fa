"""What may be shown of a reply: never the install code, link keys, or who logs in and how."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from html import escape

LONGEST_SAMPLE = 4096
"""Bytes (UTF-8) kept of what could not be read."""

HIDDEN = "[redacted]"

_LOOKED_AT = LONGEST_SAMPLE + 1024
"""Characters of a text that are searched. They are more than a sample keeps, because hiding a
secret shortens the text. Each costs a few microseconds of the event loop's time."""
_LONGEST_DETAIL = 200

# The value of an element, JSON member, attribute, header or query parameter whose name smells of a
# secret, whole or cut off. Each of these expressions must take only a few steps for each character
# of any text: a gateway may send anything.
_SMELL = (
    r"(?:install[ _-]?code|link[ _-]?key|user|password|passwd|\bpwd|e-?mail|authorization|secret|token|cookie)"
    r"[\w-]{0,32}"
)
_NAME = rf"[\w:-]{{0,32}}{_SMELL}"
_LT, _GT = r"(?:<|&(?:amp;){0,9}lt;)", r"(?:>|&(?:amp;){0,9}gt;)"
_IN_ELEMENT = rf"(?:<!\[CDATA\[(?:(?!\]\]>).)*(?:\]\]>)?|(?!{_LT}).)*"
_IN_MEMBER = r"""(?:\\+"(?:[^\\]++|\\++(?!"))*+(?:\\+")?|"(?:[^"\\]|\\.)*"?|'[^']*'?|[\[{][^\]}]*|[^",{}\[\]]+)"""
_NAMED = re.compile(
    rf"""({_LT}\s*{_NAME}[^<>&]{{0,200}}{_GT}){_IN_ELEMENT}"""
    rf"""|(["']{_NAME}\\*["']\s*:\s*){_IN_MEMBER}"""
    rf"""|({_SMELL}\s*+[=:]\s*+)(?:"[^"]*"?|'[^']*'?|[^\s<>&;,]+)""",
    re.IGNORECASE | re.DOTALL,
)
# Keys of 16 hex digits, unless the whole name right before says that it is a MAC or a counter: part
# of a name says nothing.
_KEY = re.compile(r"(?:0[xX])?[0-9a-fA-F]{12,}")
_LONG = r"(?:(?:device|meter|coord)?macid|extpanid|(?:sub)?deviceguid|summation(?:delivered|received)|demand)"
_HARMLESS = re.compile(rf'(?:<{_LONG}\s*>|"{_LONG}"\s*:\s*")\s*$', re.IGNORECASE)
_LONGEST_NUMBER = len("0x") + 16
_END = re.compile(rf"</\s*+{_NAME}", re.IGNORECASE)
_LAST_WORD = re.compile(r"[^<>\s]++\Z")
_CUT_OFF_KEY = re.compile(r"\s*(?:0[xX])?[0-9a-fA-F]{2,}(?![0-9a-zA-Z])")
"""What a text begins with may be the rest of a key whose name was cut off."""
_EMAIL = re.compile(r"[\w.+%-]{1,64}+@[\w.-]{1,255}")
_LONGEST_WORD = 320


def redacted(text: str, secrets: Iterable[str] = (), *, longest: int = LONGEST_SAMPLE) -> str:
    """The beginning of `text`, fit to be shown and kept: at most `longest` bytes of UTF-8.

    `secrets` are values that must not show wherever they stand, such as the password the gateway
    was asked with.
    """
    spellings = _spellings(secrets)
    shown = (text if len(text) <= _LOOKED_AT else _cut_off(text[:_LOOKED_AT], spellings)).replace(
        "\0", ""
    )
    for secret in spellings:
        shown = shown.replace(secret, HIDDEN)
    shown = _CUT_OFF_KEY.sub(HIDDEN, shown, count=1) if _CUT_OFF_KEY.match(shown) else shown
    shown = _without_values_before_ends(shown)
    shown = _NAMED.sub(_without_value, shown)
    shown = _EMAIL.sub(HIDDEN, shown)
    shown = _KEY.sub(_unless_harmless, shown)
    return shown.encode("utf-8", "backslashreplace")[:longest].decode("utf-8", "ignore")


def said(text: str, secrets: Iterable[str] = ()) -> str:
    """What a text says, redacted, on one short line."""
    return " ".join(redacted(text, secrets).split())[:_LONGEST_DETAIL]


def _spellings(secrets: Iterable[str]) -> list[str]:
    """The longest first, so that one secret inside another leaves no rest behind."""
    found = {
        spelling
        for secret in secrets
        if secret
        for spelling in (
            secret,
            escape(secret),
            escape(secret, quote=False),
            json.dumps(secret)[1:-1],
        )
    }
    return sorted(found, key=len, reverse=True)


def _cut_off(text: str, spellings: list[str]) -> str:
    """The beginning of a longer text, without a secret or a word at its end: the cut may have gone
    through either."""
    for spelling in spellings:
        start = max(0, len(text) - len(spelling) + 1)
        while (start := text.find(spelling[0], start)) >= 0:
            if spelling.startswith(text[start:]):
                text = text[:start]
                break
            start += 1
    return text[:-_LONGEST_WORD] + _LAST_WORD.sub("", text[-_LONGEST_WORD:])


def _without_values_before_ends(text: str) -> str:
    """The text without the word before each end tag whose name smells of a secret: its start tag
    may be lost."""
    parts: list[str] = []
    done = 0
    for end in _END.finditer(text):
        before = text[done : end.start()]
        value = before.rstrip()
        parts += value[:-64], _LAST_WORD.sub(HIDDEN, value[-64:]), before[len(value) :], end[0]
        done = end.end()
    return "".join([*parts, text[done:]]) if parts else text


def _without_value(match: re.Match[str]) -> str:
    return (match[1] or match[2] or match[3]) + HIDDEN


def _unless_harmless(match: re.Match[str]) -> str:
    """A MAC or a counter of more than 16 digits has a key behind it, from a reply that lost bytes
    in between."""
    before = match.string[max(0, match.start() - 64) : match.start()]
    may_be_one = match[0][:2] in {"0x", "0X"} and len(match[0]) <= _LONGEST_NUMBER
    return match[0] if may_be_one and _HARMLESS.search(before) else HIDDEN
