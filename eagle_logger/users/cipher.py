"""Passwords at rest are Fernet tokens. The newest key seals them, any known key opens them, and
each is bound to its user's cloud id."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence

import structlog
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from eagle_logger.core.fernet_keys import mistakes_in
from eagle_logger.core.users import Credentials
from eagle_logger.errors import ConfigurationError, NoSecretKey

_log = structlog.get_logger("eagle_logger.keys")

READ_KEYS_EVERY_S = 1.0
"""The key file is read at most this often."""


def new_key() -> str:
    return Fernet.generate_key().decode()


class Cipher:
    """Seals and opens credentials.

    `keys` stand newest first. `source` names the setting they came from, for error messages.
    `reread` reads the keys from their file again, if they came from one. A key that is removed from
    the file stays known until the process ends.

    Raises NoSecretKey if there are no keys, ConfigurationError if one is malformed. No message
    shows a key.
    """

    def __init__(
        self,
        keys: Sequence[str],
        *,
        source: str = "EAGLE_SECRET_KEYS",
        reread: Callable[[], Sequence[str]] | None = None,
    ) -> None:
        if not keys:
            raise NoSecretKey
        if mistakes := mistakes_in(keys, source):
            raise ConfigurationError("\n".join(mistakes))
        self._source = source
        self._reread = reread
        self._reread_at = float("-inf")
        self._reread_failure = ""
        self._use(keys)

    def _use(self, keys: Sequence[str]) -> None:
        self._keys = list(keys)
        fernets = [Fernet(key) for key in keys]
        self._newest = fernets[0]
        self._any = MultiFernet(fernets)

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """One for each key, newest first. A fingerprint tells keys apart and reveals nothing else
        about them."""
        return tuple(_fingerprint(key) for key in self._keys)

    def refresh(self) -> bool:
        """Read the key file again, at most once a second. Returns whether it holds a key that was
        not known.

        A file that cannot be read, or holds something other than keys, changes nothing; this is
        logged once.
        """
        now = time.monotonic()
        if self._reread is None or now < self._reread_at + READ_KEYS_EVERY_S:
            return False
        self._reread_at = now
        try:
            in_file = self._reread()
            if mistakes := mistakes_in(in_file, self._source):
                raise ConfigurationError("\n".join(mistakes))
        except ConfigurationError as exc:
            self._note_failure(str(exc))
            return False
        self._note_failure("")
        removed = [key for key in self._keys if key not in in_file]
        keys = [*in_file, *removed]
        if not in_file or keys == self._keys:
            return False
        is_new = len(keys) > len(self._keys)
        self._use(keys)
        _log.info("keys_read_again", keys=len(in_file), detail="the key file has changed")
        return is_new

    def _note_failure(self, failure: str) -> None:
        if failure and failure != self._reread_failure:
            _log.warning("keys_not_read_again", detail=failure)
        self._reread_failure = failure

    def seal(self, credentials: Credentials) -> str:
        """The token of these credentials. It contains the cloud id, so that `open` notices a token
        that was moved to another user."""
        plain = json.dumps(
            [credentials.cloud_id, credentials.user_email, credentials.user_pw], ensure_ascii=False
        )
        return self._newest.encrypt(plain.encode()).decode()

    def open(self, cloud_id: str, sealed: str) -> Credentials:
        """Raises ValueError if no key decrypts the token, or if it was sealed for another user."""
        try:
            plain = self._any.decrypt(sealed)
        except (InvalidToken, ValueError):
            raise ValueError("the sealed password can be decrypted with none of the keys") from None
        owner, email, password = json.loads(plain)
        if owner != cloud_id:
            raise ValueError("the sealed password belongs to another user")
        return Credentials(cloud_id, email, password)

    def fingerprint_of(self, sealed: str) -> str:
        """The fingerprint of the key that decrypts the token. Raises ValueError if none does."""
        for key in self._keys:
            try:
                Fernet(key).decrypt(sealed)
            except (InvalidToken, ValueError):
                continue
            return _fingerprint(key)
        raise ValueError("the sealed password can be decrypted with none of the keys")

    def is_newest(self, sealed: str) -> bool:
        """Whether the newest key decrypts the token."""
        try:
            self._newest.decrypt(sealed)
        except (InvalidToken, ValueError):
            return False
        return True


def _fingerprint(key: str) -> str:
    return hashlib.sha256(b"eagle_logger key " + key.encode()).hexdigest()[:16]
