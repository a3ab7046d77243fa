"""Builds what the settings ask for. Only here is chosen which adapter stands behind a protocol."""

from __future__ import annotations

import contextlib
import os
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from eagle_logger.archive.archive import Archive
from eagle_logger.archive.directory import DirectoryArchive
from eagle_logger.archive.trusted import TrustedArchive
from eagle_logger.core.fernet_keys import keys_in
from eagle_logger.errors import ConfigurationError, NoSecretKey, TablesNotInstalled
from eagle_logger.logs.drain_flag import DrainFlag
from eagle_logger.logs.folder import LogFolder
from eagle_logger.logs.open_files import SPARE_DESCRIPTORS
from eagle_logger.settings import Settings
from eagle_logger.users.cipher import Cipher
from eagle_logger.users.redis.store import redis_store
from eagle_logger.users.store import Schedule, UserStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from eagle_logger.core.gaps import GapRow
    from eagle_logger.logger import EagleDataLogger
    from eagle_logger.tables.day_tables import DayTables


def user_store(settings: Settings, *, passwords: bool) -> UserStore:
    """The users' Redis. Nothing is connected yet; it belongs to the event loop on which it is first
    used.

    With `passwords`, raises NoSecretKey or ConfigurationError unless there are valid keys. Without,
    no key is needed, and claims carry no credentials.
    """
    keys = cipher(settings) if passwords else None
    return redis_store(
        settings.redis_address, cipher=keys, clock=settings.clock, lease=settings.lease
    )


def cipher(settings: Settings) -> Cipher:
    """The cipher with the keys of EAGLE_SECRET_KEYS or, if that is unset, of
    EAGLE_SECRET_KEYS_FILE. `Cipher.refresh` reads keys that came from a file again. Raises
    NoSecretKey, ConfigurationError."""
    if settings.secret_keys is None:
        file = settings.secret_keys_file
        return Cipher([]) if file is None else _cipher_of_file(file, "EAGLE_SECRET_KEYS_FILE")
    keys = keys_in(settings.secret_keys.get_secret_value())
    file = settings.secrets_dir and settings.secrets_dir / "EAGLE_SECRET_KEYS"
    with contextlib.suppress(ConfigurationError):
        # The environment wins over the directory of secrets, so the keys may not be those of the
        # file there. Then that file must not be read again.
        if file and _keys_in_file(file, "EAGLE_SECRETS_DIR") == keys:
            return _cipher_of_file(file, "EAGLE_SECRET_KEYS")
    return Cipher(keys, source="EAGLE_SECRET_KEYS")


def _cipher_of_file(file: Path, setting: str) -> Cipher:
    source = f"{setting} ({file})"
    return Cipher(
        _keys_in_file(file, source), source=source, reread=lambda: _keys_in_file(file, source)
    )


def _keys_in_file(file: Path, source: str) -> list[str]:
    try:
        text = file.read_text("ascii")
    except (OSError, UnicodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it holds something other than keys"
        raise ConfigurationError(f"{source}: {file} cannot be read: {reason}") from None
    keys = keys_in(text)
    if not keys or "\0" in text:
        raise NoSecretKey(
            f"{source}: {file} holds {'zeroes' if keys else 'nothing'} instead of keys: restore "
            "its backup. No other key can read the stored passwords"
        )
    return keys


def archive(settings: Settings) -> Archive:
    """The archive of complete hours: EAGLE_ARCHIVE_URL, else a directory below the data directory.
    Nothing is connected yet, and nothing is put before the store has proved that it replaces no
    object."""
    return TrustedArchive(_archive_adapter(settings))


def _archive_adapter(settings: Settings) -> Archive:
    url = urlsplit(settings.archive)
    if url.scheme == "file":
        return DirectoryArchive(Path(unquote(url.path)))
    if url.scheme != "s3" or not url.netloc:
        raise ConfigurationError(
            "the archive's URL should read s3://bucket/prefix or file:///directory"
        )
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


def log_folder(settings: Settings) -> LogFolder:
    return LogFolder(settings.logs_dir)


def day_tables(settings: Settings) -> DayTables:
    """The day tables of the archive, read from this volume's sealed log files where they are still
    there. Raises TablesNotInstalled."""
    if find_spec("pyarrow") is None:
        raise TablesNotInstalled
    from eagle_logger.tables.day_tables import DayTables  # noqa: PLC0415  (pyarrow is optional, and large)
    from eagle_logger.tables.input_reader import InputReader  # noqa: PLC0415  (the same)

    store = archive(settings)
    return DayTables(
        store,
        InputReader(store, log_folder(settings), settings.shards),
        settings.data_dir / "tables",
        version("eagle-logger"),
        kept_free=settings.min_free_disk,
    )


def gap_file_writer() -> Callable[[Path, Iterable[GapRow]], int]:
    """Writes what is missing as a Parquet file. Raises TablesNotInstalled."""
    if find_spec("pyarrow") is None:
        raise TablesNotInstalled
    from eagle_logger.tables.gap_file import write_gap_file  # noqa: PLC0415  (pyarrow is optional, and large)

    return write_gap_file


def drain(settings: Settings) -> DrainFlag:
    """Whether this log volume takes new readings."""
    return DrainFlag(settings.logs_dir)


def node(settings: Settings) -> str:
    """The name of this log volume. Raises DiskUnavailable, ConfigurationError."""
    return log_folder(settings).node()


def descriptors(settings: Settings) -> int:
    """The most file descriptors that a fetching process needs: for log files, connections to the
    relay, and some for everything else."""
    return settings.max_open_files + _spare_descriptors(settings)


def _spare_descriptors(settings: Settings) -> int:
    """Those that log files leave to everything else."""
    return settings.max_in_flight + SPARE_DESCRIPTORS


async def data_logger(
    settings: Settings, schedule: Schedule, *, name: str, holder: str
) -> EagleDataLogger:
    """The cycle, for the event loop on which this is awaited. `name` is the process's, and shows in
    the User-Agent; `holder` shows in leases. Raises ConfigurationError."""
    # Most commands never fetch, and aiohttp takes half a second to import.
    from eagle_logger.fetching.process_limits import ProcessLimits  # noqa: PLC0415
    from eagle_logger.logger import EagleDataLogger, RotationVolume  # noqa: PLC0415
    from eagle_logger.logs.reply_samples import ReplySamples  # noqa: PLC0415
    from eagle_logger.logs.writer import LogWriter  # noqa: PLC0415
    from eagle_logger.rainforest.relay.client import RelayClient  # noqa: PLC0415

    return EagleDataLogger(
        schedule=schedule,
        source=RelayClient(
            settings.relay_url,
            user_agent=f"eagle-logger/{version('eagle-logger')} {name}/{os.getpid()}",
            connect_timeout=settings.connect_timeout,
            ca=settings.relay_ca,
        ),
        logs=LogWriter(
            settings.logs_dir,
            shards=settings.shards,
            max_open=settings.max_open_files,
            min_free_disk=settings.min_free_disk,
            spare=_spare_descriptors(settings),
        ),
        samples=ReplySamples(settings.data_dir / "samples"),
        volume=RotationVolume(
            log_folder(settings),
            cache(lambda: archive(settings)),
            settings.rotate_grace,
            settings.local_retention,
        ),
        clock=settings.clock,
        intervals=settings.intervals,
        in_step=settings.in_step,
        shards=settings.shards,
        limits=ProcessLimits(max_in_flight=settings.max_in_flight, deadline=settings.deadline),
        holder=holder,
    )
