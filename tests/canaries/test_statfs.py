"""libc's `statfs`, called through ctypes: the first word of its structure names the file system."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

import pytest

from tests.canaries.advice import advice_of

PROC = 0x9FA0
TMPFS = 0x01021994


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere syncfs is never used")
@pytest.mark.parametrize(
    ("mount_point", "type_", "magic"), [("/proc", "proc", PROC), ("/dev/shm", "tmpfs", TMPFS)]
)
def test_the_first_word_of_statfs_is_the_magic_number(
    mount_point: str, type_: str, magic: int
) -> None:
    if f" {mount_point} {type_} " not in Path("/proc/mounts").read_text():
        pytest.skip(f"no {type_} is mounted at {mount_point}")
    with advice_of("eagle_logger/logs/group_fsync.py"):
        buffer = ctypes.create_string_buffer(256)
        assert ctypes.CDLL(None).statfs(os.fsencode(mount_point), buffer) == 0
        assert ctypes.c_long.from_buffer(buffer).value & 0xFFFFFFFF == magic
