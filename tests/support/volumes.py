"""Real file systems that a test mounts. Where the machine allows no mounts, the test is skipped."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


@contextmanager
def tmpfs(at: Path, size: str) -> Iterator[Path]:
    """An empty volume in memory, of this size (`256k`, `8m`)."""
    at.mkdir(parents=True, exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(at))
    try:
        yield at
    finally:
        unmount(at)


@contextmanager
def ext4(image: Path, at: Path) -> Iterator[Path]:
    """An ext4 in the file `image`, which is made if it is missing. At an error Linux makes it
    read-only."""
    if not image.exists():
        search = f"{os.environ['PATH']}:/sbin:/usr/sbin"
        make = shutil.which("mkfs.ext4", path=search) or pytest.skip("no mkfs.ext4")
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
    """Cause an error as of a failing disk: from now on the volume is read-only, and what was not
    synced is lost."""
    for mount in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = mount.partition(" - ")
        if before.split()[4] == str(at):
            device = Path(after.split()[1]).name
            try:
                Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("a test")
            except OSError as exc:
                pytest.skip(f"this kernel cannot break a file system on request: {exc}")
            return
    raise AssertionError(f"nothing is mounted at {at}")


def fill(folder: Path, leave: int = 0) -> Path:
    """Write a file that takes all free space but `leave` bytes; returns its path."""
    ballast = folder / "ballast"
    # Others may write there, too, so that less is free than was counted. The file has no buffer:
    # its close would try to write what was refused once more, and raise.
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while (free := _free(folder) - leave) > 0:
            file.write(bytes(min(2**20, max(4096, free))))
    return ballast


def _free(folder: Path) -> int:
    volume = os.statvfs(folder)
    return volume.f_bavail * volume.f_frsize


def unmount(at: Path) -> None:
    """Unmount it, even while a failed test has files open there."""
    if subprocess.run(["umount", str(at)], check=False, capture_output=True).returncode != 0:
        subprocess.run(["umount", "-l", str(at)], check=True, capture_output=True)


def _mount(*words: str) -> None:
    done = subprocess.run(["mount", *words], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"this machine allows no mounts: {done.stderr.strip()}")
