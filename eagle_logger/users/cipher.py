"""Passwords at rest: Fernet tokens, sealed with the newest key, opened with any, each bound to its user's cloud id."""

from __future__ import annotations

import json
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from eagle_logger.core.keys import mistakes_in
from eagle_logger.core.users import Credentials
from eagle_logger.errors import ConfigurationError, NoSecretKey


def new_key() -> str:
    return Fernet.generate_key().decode()


class Cipher:
    """Seals and opens credentials. `keys`: newest first; `source` is the setting they came from, for messages.

    Raises NoSecretKey if there are none, ConfigurationError if one is malformed; no message ever shows a key.
    """

    def __init__(self, keys: Sequence[str], *, source: str = "EAGLE_SECRET_KEYS") -> None:
        if not keys:
            raise NoSecretKey
        if wrong := mistakes_in(keys, source):
            raise ConfigurationError("\n".join(wrong))
        fernets = [Fernet(key) for key in keys]
        self._newest = fernets[0]
        self._any = MultiFernet(fernets)

    def seal(self, credentials: Credentials) -> str:
        """The cloud id lies inside, so that a token moved to another user is noticed."""
        plain = json.dumps([credentials.cloud_id, credentials.user_email, credentials.user_pw], ensure_ascii=False)
        return self._newest.encrypt(plain.encode()).decode()

    def open(self, cloud_id: str, sealed: str) -> Credentials:
        """Raises ValueError if no key fits, or if this was sealed for another user."""
        try:
            plain = self._any.decrypt(sealed)
        except (InvalidToken, ValueError):
            raise ValueError("the sealed password can be decrypted with none of the keys") from None
        owner, email, password = json.loads(plain)
        if owner != cloud_id:
            raise ValueError("the sealed password belongs to another user")
        return Credentials(cloud_id, email, password)

    def is_newest(self, sealed: str) -> bool:
        """Whether this was sealed with the newest key."""
        try:
            self._newest.decrypt(sealed)
        except (InvalidToken, ValueError):
            return False
        return True
