"""Key rotation: which passwords are encrypted anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eagle_logger.errors import NoSecretKey
from eagle_logger.users.cipher import Cipher


def resealed(cipher: Cipher, sealed: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Passwords that are not sealed with the newest key, sealed with it; and the cloud ids of those
    that no key decrypts. All by cloud id."""
    changed: dict[str, str] = {}
    locked: list[str] = []
    for cloud_id, password in sealed.items():
        if cipher.is_newest(password):
            continue
        try:
            changed[cloud_id] = cipher.seal(cipher.open(cloud_id, password))
        except ValueError:
            locked.append(cloud_id)
    return changed, locked


def unreadable(locked: Sequence[str]) -> NoSecretKey:
    """The error for passwords that were left as they are."""
    return NoSecretKey(
        f"{len(locked)} passwords can be decrypted with none of the keys and were left as they "
        f"are, {locked[0]} first; add the key they were encrypted with to EAGLE_SECRET_KEYS, or "
        "enter them again with `eagle-logger users add`"
    )
