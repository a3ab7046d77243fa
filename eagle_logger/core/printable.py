"""Makes text from a gateway, a person or a message safe for a terminal.

A terminal obeys control characters. Marks that change the direction of text make a line look like
another one.
"""

from __future__ import annotations

import json
import re

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_BEYOND_ASCII = (
    r"\x7f-\x9f"  # control characters
    r"\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"  # invisible marks; some turn text round
    r"\u2028\u2029\ufff9-\ufffb"  # separators of lines, and of annotations
)
_STEERS_BEYOND_ASCII = re.compile(f"[{_BEYOND_ASCII}]")
_STEERS = re.compile(rf"[\x00-\x08\x0b-\x1f{_BEYOND_ASCII}]")
"""The same, and the control characters of ASCII but tab and newline."""


def harmless(text: str) -> str:
    """The text on one line, with each character that is not printable replaced."""
    return "".join(letter if letter.isprintable() else REPLACEMENT for letter in text)


def harmless_json(text: str) -> str:
    """The same JSON, with each character that may steer a terminal written as an escape."""
    return _STEERS.sub(lambda match: json.dumps(match[0])[1:-1], text)


def harmless_lines(text: str) -> str:
    """The same lines, with each character in them that may steer a terminal replaced."""
    return _STEERS.sub(REPLACEMENT, text)


def without_steering(text: str) -> str:
    """Text of this program, whose colours and line breaks stay. Only characters that the program
    itself never writes are replaced."""
    return _STEERS_BEYOND_ASCII.sub(REPLACEMENT, text)
