"""What a key that encrypts passwords looks like. The library that uses it is not needed here."""

from __future__ import annotations

import base64
from collections.abc import Sequence

_KEY_BYTES = 32


def keys_in(text: str) -> list[str]:
    """The keys of a setting or a file, which are separated by commas, blanks or line breaks."""
    return text.replace(",", " ").split()


def mistakes_in(keys: Sequence[str], source: str) -> list[str]:
    """A sentence for each that is no Fernet key. No sentence shows a key. `source` is the setting
    that the keys came from."""
    return [
        f"{source}: key {number} of {len(keys)} is not a Fernet key (32 bytes in URL-safe base64); "
        "put the right key back, or, where no password is stored yet, "
        "make one with `eagle-logger keys generate`"
        for number, key in enumerate(keys, 1)
        if not _is_key(key)
    ]


def _is_key(key: str) -> bool:
    try:
        return len(base64.urlsafe_b64decode(key)) == _KEY_BYTES
    except ValueError:
        return False
