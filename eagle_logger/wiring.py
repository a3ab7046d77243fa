"""Which adapter stands behind each protocol: chosen here, from the settings, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from eagle_logger.archive.archive import Archive
from eagle_logger.archive.directory import DirectoryArchive
from eagle_logger.errors import ConfigurationError
from eagle_logger.settings import Settings
from eagle_logger.users.cipher import Cipher
from eagle_logger.users.redis_store import RedisUserStore
from eagle_logger.users.store import UserStore


def user_store(settings: Settings, *, passwords: bool) -> UserStore:
    """The users' Redis. With `passwords`, raises NoSecretKey or ConfigurationError unless there are sound keys; without, no
    key is needed, and claims carry no credentials. Nothing is connected yet; the store lives on the loop it is first used on."""
    keys = cipher(settings) if passwords else None
    return RedisUserStore(settings.redis_url, cipher=keys, clock=settings.clock, lease=settings.lease)


def cipher(settings: Settings) -> Cipher:
    """From EAGLE_SECRET_KEYS or, when that is unset, EAGLE_SECRET_KEYS_FILE. Raises NoSecretKey, ConfigurationError."""
    if settings.secret_keys is not None:
        return Cipher(_words(settings.secret_keys.get_secret_value()), source="EAGLE_SECRET_KEYS")
    if settings.secret_keys_file is None:
        return Cipher([])
    try:
        text = settings.secret_keys_file.read_text("ascii")
    except (OSError, UnicodeError) as wrong:
        reason = wrong.strerror if isinstance(wrong, OSError) else "it holds something other than keys"
        raise ConfigurationError(f"EAGLE_SECRET_KEYS_FILE: {settings.secret_keys_file} cannot be read: {reason}") from None
    return Cipher(_words(text), source=f"EAGLE_SECRET_KEYS_FILE ({settings.secret_keys_file})")


def archive(settings: Settings) -> Archive:
    """Where completed hours go: EAGLE_ARCHIVE_URL, else a directory under the data directory. Nothing is connected yet."""
    url = urlsplit(settings.archive)
    if url.scheme == "file":
        return DirectoryArchive(Path(unquote(url.path)))
    if not url.netloc:
        raise ConfigurationError("EAGLE_ARCHIVE_URL names no bucket: it should read s3://bucket/prefix")
    from eagle_logger.archive.s3 import S3Archive  # noqa: PLC0415  (boto3 takes a third of a second to import)

    secret = settings.aws_secret_access_key
    return S3Archive(
        settings.archive,
        endpoint_url=settings.s3_endpoint_url,
        region=settings.aws_region,
        access_key_id=settings.aws_access_key_id,
        secret_access_key=secret.get_secret_value() if secret else None,
        checksums=settings.s3_checksums,
    )


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()
