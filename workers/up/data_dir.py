"""What lies in the data directory besides the data: the lock, the key, what was started, and small
secrets. All 0600."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from eagle_logger.disk.atomic_files import replace_file
from eagle_logger.disk.private_files import close_to_others
from eagle_logger.errors import ConfigurationError, DataDirectoryBusy
from eagle_logger.settings import GIVEN_UP_FILE as GIVEN_UP
from eagle_logger.settings import SERVICES_FILE

LOCK = "up.lock"
KEYS = "secret.keys"
FLOWER_PASSWORD = "flower.password"  # noqa: S105  (a file's name)
ALIVE = "alive"
_SECRET = re.compile(r"[A-Za-z0-9_-]{32}")
_STILL_ENDING = 90.0
"""Seconds to wait for what a killed `up` left to be stopped: longer than its slowest program may
take."""


@contextlib.contextmanager
def lock_data_dir(data_dir: Path) -> Iterator[int]:
    """Hold the data directory, made if need be and closed to other users; gives the lock's file
    descriptor.

    Whoever inherits the descriptor holds the lock too: supervisord does, so that nobody starts here
    while it still stops the programs of an `up` that was killed. Such an end is waited for. Raises
    DataDirectoryBusy if another `up` runs here.
    """
    descriptor = _open(data_dir / LOCK)
    try:
        _acquire(descriptor)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def former_services(data_dir: Path) -> dict[str, Any]:
    """What an earlier `up` started here; empty if nothing did, or if it cannot be read."""
    try:
        found = json.loads((data_dir / SERVICES_FILE).read_text())
    except (OSError, ValueError):
        return {}
    return (
        {name: text for name, text in found.items() if isinstance(text, str)}
        if isinstance(found, dict)
        else {}
    )


def forget_services(data_dir: Path) -> None:
    """No setting may come from what an earlier `up` had started."""
    (data_dir / SERVICES_FILE).unlink(missing_ok=True)


def key_file(data_dir: Path) -> Path:
    """The file with the keys that encrypt passwords, made on first use."""
    path = data_dir.absolute() / KEYS
    if not path.exists():
        write_private_file(path, Fernet.generate_key().decode() + "\n")
    return path


def read_or_make_secret(path: Path) -> str:
    """A random password, the same as last time. If the file is damaged, a new one: nothing is
    encrypted with it."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if _SECRET.fullmatch(kept := path.read_text("ascii").strip()):
            return kept
    write_private_file(path, secrets.token_urlsafe(24) + "\n")
    return path.read_text().strip()


def write_private_file(path: Path, text: str) -> None:
    """Write a file that only its owner may read, durably, and make the folder it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, text.encode(), durable=True)


def note_given_up(data_dir: Path, names: Sequence[str]) -> None:
    """Write down the programs that keep dying. `eagle-logger doctor` reads it."""
    write_private_file(data_dir / GIVEN_UP, json.dumps(list(names)) + "\n")


def leave_sign_of_life(data_dir: Path) -> None:
    """Leave a mark of when `up` was last seen alive, for the next `up` after a power cut. A disk
    that takes no mark keeps the one before."""
    with contextlib.suppress(OSError):
        (data_dir / "run" / ALIVE).touch()


def last_sign_of_life(data_dir: Path) -> float:
    """When `up` was last seen alive (real Unix seconds): now, if it never was, or if the clock has
    been set back since."""
    now = time.time()
    try:
        return min((data_dir / "run" / ALIVE).stat().st_mtime, now)
    except OSError:
        return now


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        close_to_others(path.parent)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as exc:
        raise ConfigurationError(
            f"the data directory {path.parent} cannot be used: {exc.strerror}"
        ) from None


def _acquire(descriptor: int) -> None:
    until = time.monotonic() + _STILL_ENDING
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if _holder_lives(descriptor) or time.monotonic() > until:
                raise DataDirectoryBusy from None
        time.sleep(0.2)


def _holder_lives(descriptor: int) -> bool:
    """Whether the `up` that took the lock still runs; if not, its supervisord holds it while it
    stops the programs."""
    try:
        os.kill(int(os.pread(descriptor, 20, 0)), 0)
    except PermissionError:
        return True
    except (ProcessLookupError, ValueError):
        return False
    return True
