"""Which texts a header carries unchanged. A user's credentials travel in headers of a request."""

from __future__ import annotations

import re

LONGEST_SENDABLE = 256
"""The most characters of a text that is sent in a header."""

_CONTROLS = r"\x00-\x1f\x7f"
_BLANKS = r"\s\x85\ufeff"
"""Python and JavaScript differ in whether `\\s` holds the last two."""

PATTERN = rf"^[^{_BLANKS}{_CONTROLS}]{{1}}([^{_CONTROLS}]*[^{_BLANKS}{_CONTROLS}])?$"
"""The rule of `sendable`, for a JSON schema."""

_CONTROL = re.compile(f"[{_CONTROLS}]")
_BLANK_AT_AN_END = re.compile(rf"\A[{_BLANKS}]|[{_BLANKS}]\Z")


def sendable(text: str) -> str:
    """The text itself. Raises ValueError, which names the rule and never repeats the text: it may
    be a password."""
    if not text or len(text) > LONGEST_SENDABLE or _CONTROL.search(text):
        raise ValueError(f"must have 1 to {LONGEST_SENDABLE} characters, and no control characters")
    if _BLANK_AT_AN_END.search(text):
        raise ValueError(
            "must not begin or end with a blank: no header carries it, "
            "so the relay would never see it"
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("must be text in UTF-8") from None
    return text
