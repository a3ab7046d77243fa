"""Makes text from a gateway, a person or a message safe for a terminal. Pure.

A terminal obeys control characters. Marks that change the direction of text make a line look like
another one.
"""

from __future__ import annotations

import json
import re

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_MAY_STEER = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
"""Control characters but tab and newline, line separators, and marks that change the direction of
text."""
_BEYOND_ASCII = re.compile(
    r"[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)


def harmless(text: str) -> str:
    """The text on one line, with each character that is not printable replaced."""
    return "".join(letter if letter.isprintable() else REPLACEMENT for letter in text)


def harmless_json(text: str) -> str:
    """The same JSON, with each character that may steer a terminal written as an escape."""
    return _MAY_STEER.sub(lambda match: json.dumps(match[0])[1:-1], text)


def harmless_lines(text: str) -> str:
    """The same lines, with each character in them that may steer a terminal replaced."""
    return _MAY_STEER.sub(REPLACEMENT, text)


def without_steering(text: str) -> str:
    """Text of this program, whose colours and line breaks stay. Only characters that the program
    itself never writes are replaced."""
    return _BEYOND_ASCII.sub(REPLACEMENT, text)
