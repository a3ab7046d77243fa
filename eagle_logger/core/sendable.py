"""Which texts a header carries unchanged: a user's credentials travel in headers of a request."""

from __future__ import annotations

import re

LONGEST = 256
"""Characters."""

PATTERN = r"^[^\s\x00-\x1f\x7f]{1}([^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?$"
"""The rule of `sendable`, for a JSON schema."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def sendable(text: str) -> str:
    """The text itself. Raises ValueError, which names the rule and never repeats the text: it may
    be a password."""
    if not text or len(text) > LONGEST or _CONTROL.search(text):
        raise ValueError(f"must have 1 to {LONGEST} characters, and no control characters")
    if text != text.strip():
        raise ValueError(
            "must not begin or end with a blank: no header carries it, so the relay would never see it"
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("must be text in UTF-8") from None
    return text
