"""What may be shown of a reply: never an install code, a link key, or anybody's credentials."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from html import escape

LONGEST_SAMPLE = 4096
"""Bytes (UTF-8) that are kept of what could not be decoded."""

HIDDEN = "[redacted]"

_CHARACTERS_SEARCHED = LONGEST_SAMPLE + 1024
"""More than a sample keeps, because hiding a secret shortens the text. Each character costs a few
microseconds of the event loop's time."""
_LONGEST_DETAIL = 200

# These expressions find the value of an element, JSON member, attribute, header or query parameter
# whose name suggests a secret, whether the value is whole or cut off. A gateway may send anything,
# so each must take only a few steps for each character of any text.
_SUSPECT_NAME = (
    r"(?:install[ _-]?code|link[ _-]?key|user|password|passwd|\bpwd|e-?mail"
    r"|authorization|secret|token|cookie)[\w-]{0,32}"
)
_NAME = rf"[\w:-]{{0,32}}{_SUSPECT_NAME}"
_LT, _GT = r"(?:<|&(?:amp;){0,9}lt;)", r"(?:>|&(?:amp;){0,9}gt;)"
_IN_ELEMENT = rf"(?:<!\[CDATA\[(?:(?!\]\]>).)*(?:\]\]>)?|(?!{_LT}).)*"
_IN_MEMBER = (
    r"""(?:\\+"(?:[^\\]++|\\++(?!"))*+(?:\\+")?"""
    r"""|"(?:[^"\\]|\\.)*"?|'[^']*'?|[\[{][^\]}]*|[^",{}\[\]]+)"""
)
_NAMED_VALUE = re.compile(
    rf"""({_LT}\s*{_NAME}[^<>&]{{0,200}}{_GT}){_IN_ELEMENT}"""
    rf"""|(["']{_NAME}\\*["']\s*:\s*){_IN_MEMBER}"""
    rf"""|({_SUSPECT_NAME}\s*+[=:]\s*+)(?:"[^"]*"?|'[^']*'?|[^\s<>&;,]+)""",
    re.IGNORECASE | re.DOTALL,
)
# Hex digits are taken for a key, unless the whole name right before them is that of a MAC or a
# counter. Part of such a name is not enough.
_KEY = re.compile(r"(?:0[xX])?[0-9a-fA-F]{12,}")
_HARMLESS_NAME = (
    r"(?:(?:device|meter|coord)?macid|extpanid|(?:sub)?deviceguid"
    r"|summation(?:delivered|received)|demand)"
)
_BEFORE_HARMLESS_VALUE = re.compile(
    rf'(?:<{_HARMLESS_NAME}\s*>|"{_HARMLESS_NAME}"\s*:\s*")\s*$', re.IGNORECASE
)
_LONGEST_NUMBER = len("0x") + 16
_END_TAG = re.compile(rf"</\s*+{_NAME}", re.IGNORECASE)
_LAST_WORD = re.compile(r"[^<>\s]++\Z")
_CUT_OFF_KEY = re.compile(r"\s*(?:0[xX])?[0-9a-fA-F]{2,}(?![0-9a-zA-Z])")
"""A text may begin with the rest of a key, after its name was cut off."""
_EMAIL = re.compile(r"[\w.+%-]{1,64}+@[\w.-]{1,255}")
_LONGEST_WORD = 320


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """The beginning of `text` without secrets, at most LONGEST_SAMPLE bytes of UTF-8.

    `secrets` are values that are hidden wherever they stand, such as the password that was sent to
    the gateway.
    """
    spellings = _spellings(secrets)
    if len(text) > _CHARACTERS_SEARCHED:
        text = _without_cut_off_end(text[:_CHARACTERS_SEARCHED], spellings)
    text = text.replace("\0", "")
    for secret in spellings:
        text = text.replace(secret, HIDDEN)
    if _CUT_OFF_KEY.match(text):
        text = _CUT_OFF_KEY.sub(HIDDEN, text, count=1)
    text = _without_values_before_end_tags(text)
    text = _NAMED_VALUE.sub(_name_without_value, text)
    text = _EMAIL.sub(HIDDEN, text)
    text = _KEY.sub(_hidden_unless_harmless, text)
    return text.encode("utf-8", "backslashreplace")[:LONGEST_SAMPLE].decode("utf-8", "ignore")


def redacted_detail(text: str, secrets: Iterable[str] = ()) -> str:
    """The text, redacted, on one short line."""
    return " ".join(redacted(text, secrets).split())[:_LONGEST_DETAIL]


def _spellings(secrets: Iterable[str]) -> list[str]:
    """Each secret as it is, and escaped as in HTML, XML and JSON.

    The longest come first, so that one secret inside another leaves no rest behind.
    """
    spellings: set[str] = set()
    for secret in filter(None, secrets):
        in_html, in_xml = escape(secret), escape(secret, quote=False)
        spellings |= {secret, in_html, in_xml, json.dumps(secret)[1:-1]}
    return sorted(spellings, key=len, reverse=True)


def _without_cut_off_end(text: str, spellings: list[str]) -> str:
    """The beginning of a longer text, without a secret or a word at its end, because the cut may
    have gone through it."""
    for spelling in spellings:
        start = max(0, len(text) - len(spelling) + 1)
        while (start := text.find(spelling[0], start)) >= 0:
            if spelling.startswith(text[start:]):
                text = text[:start]
                break
            start += 1
    return text[:-_LONGEST_WORD] + _LAST_WORD.sub("", text[-_LONGEST_WORD:])


def _without_values_before_end_tags(text: str) -> str:
    """The text without the word before each end tag whose name suggests a secret: its start tag may
    be lost."""
    parts: list[str] = []
    end = 0
    for tag in _END_TAG.finditer(text):
        before = text[end : tag.start()]
        value = before.rstrip()
        parts += value[:-64], _LAST_WORD.sub(HIDDEN, value[-64:]), before[len(value) :], tag[0]
        end = tag.end()
    return "".join([*parts, text[end:]]) if parts else text


def _name_without_value(match: re.Match[str]) -> str:
    return (match[1] or match[2] or match[3]) + HIDDEN


def _hidden_unless_harmless(match: re.Match[str]) -> str:
    """The digits if they are a MAC or a counter.

    More than 16 digits are neither: a reply that lost bytes may join a MAC and a key.
    """
    before = match.string[max(0, match.start() - 64) : match.start()]
    may_be_number = match[0][:2] in {"0x", "0X"} and len(match[0]) <= _LONGEST_NUMBER
    return match[0] if may_be_number and _BEFORE_HARMLESS_VALUE.search(before) else HIDDEN
