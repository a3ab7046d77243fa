"""Key rotation: which records are to be written anew."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from eagle_logger.errors import NoSecretKey
from eagle_logger.users.cipher import Cipher
from eagle_logger.users.redis.encoding import decode_user, with_password

Swap = tuple[str, bytes, bytes]
"""Cloud id, record as it was read, record to write in its place."""


def resealed(cipher: Cipher, records: Iterable[tuple[str, bytes]]) -> tuple[list[Swap], list[str]]:
    """What to write in place of records not sealed with the newest key; and the ids of those no key
    opens."""
    swaps: list[Swap] = []
    locked: list[str] = []
    for cloud_id, record in records:
        try:
            _, sealed = decode_user(cloud_id, record)
            if cipher.is_newest(sealed):
                continue
            credentials = cipher.open(cloud_id, sealed)
        except ValueError:
            locked.append(cloud_id)
        else:
            swaps.append((cloud_id, record, with_password(record, cipher.seal(credentials))))
    return swaps, locked


def unreadable(locked: Sequence[str]) -> NoSecretKey:
    return NoSecretKey(
        f"{len(locked)} passwords can be decrypted with none of the keys and were left as they are, {locked[0]} first; "
        "add the key they were encrypted with to EAGLE_SECRET_KEYS, or enter them again with `eagle-logger users add`"
    )
