"""What lies in the data directory besides the data: the lock, the keys, the settings of what was
started, and small secrets. Every file has mode 0600."""

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
from eagle_logger.settings import GIVEN_UP_FILE, SERVICES_FILE

LOCK = "up.lock"
KEYS = "secret.keys"
FLOWER_PASSWORD = "flower.password"  # noqa: S105  (a file's name)
ALIVE = "alive"
_SECRET_PATTERN = re.compile(r"[A-Za-z0-9_-]{32}")
_FORMER_PROGRAMS_STOP_WITHIN_S = 90.0
"""How long to wait until the programs that a killed `up` left have stopped. It is longer than the
slowest of them may take."""


@contextlib.contextmanager
def lock_data_dir(data_dir: Path) -> Iterator[int]:
    """Hold the data directory for one `up`. Make it if it does not exist, and close it to other
    users. Yields the lock's file descriptor.

    A process that inherits the descriptor holds the lock too. supervisord does: it may still be
    stopping the programs of an `up` that was killed, and the next `up` waits until it has. Raises
    DataDirectoryBusy if another `up` runs here.
    """
    descriptor = _open_lock_file(data_dir / LOCK)
    try:
        _take_lock(descriptor)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def former_services(data_dir: Path) -> dict[str, Any]:
    """The settings that lead to what an earlier `up` started here; empty if there are none, or if
    they cannot be read."""
    try:
        services = json.loads((data_dir / SERVICES_FILE).read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(services, dict):
        return {}
    return {name: value for name, value in services.items() if isinstance(value, str)}


def forget_services(data_dir: Path) -> None:
    """Forget the settings that an earlier `up` wrote, so that none of them applies to this one."""
    (data_dir / SERVICES_FILE).unlink(missing_ok=True)


def key_file(data_dir: Path) -> Path:
    """The file with the keys that encrypt the users' passwords. It is made on first use."""
    path = data_dir.absolute() / KEYS
    if not path.exists():
        write_private_file(path, Fernet.generate_key().decode() + "\n")
    return path


def read_or_make_secret(path: Path) -> str:
    """A random password: the same as last time, or a new one if the file is damaged. A new one does
    no harm, because nothing is encrypted with it."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if _SECRET_PATTERN.fullmatch(kept := path.read_text("ascii").strip()):
            return kept
    write_private_file(path, secrets.token_urlsafe(24) + "\n")
    return path.read_text().strip()


def write_private_file(path: Path, content: str) -> None:
    """Write a file durably, readable for its owner only. Make its folder if that does not exist."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, content.encode(), durable=True)


def note_given_up(data_dir: Path, names: Sequence[str]) -> None:
    """Write the names of the programs that keep dying. `eagle-logger doctor` reads them."""
    write_private_file(data_dir / GIVEN_UP_FILE, json.dumps(list(names)) + "\n")


def leave_sign_of_life(data_dir: Path) -> None:
    """Mark that `up` lives now, for the next `up` after a power cut. If the disk is full, the mark
    before stays."""
    with contextlib.suppress(OSError):
        (data_dir / "run" / ALIVE).touch()


def last_sign_of_life(data_dir: Path) -> float:
    """When `up` last marked that it lives, in real Unix seconds: now, if it never has, or if the
    clock has been set back since."""
    now = time.time()
    try:
        return min((data_dir / "run" / ALIVE).stat().st_mtime, now)
    except OSError:
        return now


def _open_lock_file(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        close_to_others(path.parent)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as exc:
        raise ConfigurationError(
            f"the data directory {path.parent} cannot be used: {exc.strerror}"
        ) from None


def _take_lock(descriptor: int) -> None:
    until = time.monotonic() + _FORMER_PROGRAMS_STOP_WITHIN_S
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if _holder_lives(descriptor) or time.monotonic() > until:
                raise DataDirectoryBusy from None
        time.sleep(0.2)


def _holder_lives(descriptor: int) -> bool:
    """Whether the `up` that took the lock still runs. If not, its supervisord holds the lock while
    it stops the programs."""
    try:
        os.kill(int(os.pread(descriptor, 20, 0)), 0)
    except PermissionError:
        return True
    except (ProcessLookupError, ValueError):
        return False
    return True
