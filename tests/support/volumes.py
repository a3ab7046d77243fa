"""Real file systems of a test's own, where the machine lets us mount any; a test is skipped
elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def tmpfs(at: Path, size: str) -> Iterator[Path]:
    """A volume of this size (`256k`, `8m`), empty, in memory."""
    at.mkdir(parents=True, exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(at))
    try:
        yield at
    finally:
        unmount(at)


@contextmanager
def ext4(image: Path, at: Path) -> Iterator[Path]:
    """An ext4 in a file, made if it is not there yet, that becomes read-only by itself at an error."""
    if not image.exists():
        make = shutil.which(
            "mkfs.ext4", path=f"{os.environ['PATH']}:/sbin:/usr/sbin"
        ) or pytest.skip("no mkfs.ext4")
        with image.open("wb") as file:
            file.truncate(16 * 2**20)
        subprocess.run([make, "-q", "-F", str(image)], check=True, capture_output=True)
    at.mkdir(parents=True, exist_ok=True)
    _mount("-o", "loop,errors=remount-ro", str(image), str(at))
    try:
        yield at
    finally:
        unmount(at)


def break_ext4(at: Path) -> None:
    """An error, as of a disk: the volume is read-only from now on, whatever was written and not
    synced."""
    for mount in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = mount.partition(" - ")
        if before.split()[4] == str(at):
            device = Path(after.split()[1]).name
            try:
                Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("a test")
            except OSError as exc:
                pytest.skip(f"this kernel breaks no file system on request: {exc}")
            return
    raise AssertionError(f"nothing is mounted at {at}")


def fill(folder: Path, leave: int = 0) -> Path:
    """A file that takes all room but `leave` bytes."""
    ballast = folder / "ballast"
    with ballast.open("wb") as file:
        try:
            while _free(folder) > leave:
                file.write(bytes(min(2**20, max(4096, _free(folder) - leave))))
                file.flush()
        except OSError:
            pass  # full
    return ballast


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def unmount(at: Path) -> None:
    """Also while a failed test has files open there."""
    if subprocess.run(["umount", str(at)], check=False, capture_output=True).returncode != 0:
        subprocess.run(["umount", "-l", str(at)], check=True, capture_output=True)


def _mount(*words: str) -> None:
    done = subprocess.run(["mount", *words], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"this machine lets us mount nothing: {done.stderr.strip()}")
