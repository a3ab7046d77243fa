"""What `make install` prints: first what the machine lacks, then its progress."""

from __future__ import annotations

from dataclasses import replace

import pytest

import install
from install import Machine, obstacles, remarks

GOOD = Machine("linux", "x86_64", (2, 36), has_ensurepip=True, has_uv=False, has_redis_server=False)


@pytest.mark.parametrize(
    "machine",
    [
        GOOD,
        replace(GOOD, machine="aarch64", glibc=(2, 28)),
        replace(GOOD, system="darwin", machine="arm64", glibc=None),
        replace(GOOD, has_ensurepip=False, has_uv=True),
    ],
)
def test_a_common_machine_lacks_nothing(machine: Machine) -> None:
    assert obstacles(machine) == remarks(machine) == []


def test_obstacles_are_named_before_anything_is_installed() -> None:
    (no_venv,) = obstacles(replace(GOOD, has_ensurepip=False))
    assert "apt install python3-venv" in no_venv
    (musl,) = obstacles(replace(GOOD, glibc=None))
    assert "another C library than glibc" in musl
    (old,) = obstacles(replace(GOOD, glibc=(2, 17)))
    assert "has glibc 2.17, and packages need glibc 2.28 or newer" in old


def test_a_machine_without_a_redis_is_remarked_with_what_to_install() -> None:
    other = replace(GOOD, machine="riscv64")
    (remark,) = remarks(other)
    assert "no Redis comes along for linux on riscv64" in remark
    assert remarks(replace(other, has_redis_server=True)) == []


def test_the_progress_of_pip_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [
        "Collecting aiohttp==3.14.1 (from -r requirements.lock (line 1))\n",
        "  Downloading aiohttp-3.14.1-cp313-cp313-manylinux_2_28_x86_64.whl (1.7 MB)\n",
        "Processing /mirror/yarl-1.25.1-cp313-cp313-manylinux_2_28_x86_64.whl (from -r lock)\n",
        "Installing collected packages: aiohttp, yarl\n",
    ]
    assert install.show_progress(lines, is_terminal=False) == [line.rstrip() for line in lines]
    assert capsys.readouterr().out.split("\n") == [
        "    1: aiohttp",
        "    2 are here; unpacking them",
        "",
    ]
    install.show_progress(lines, is_terminal=True)
    assert "\r\033[K    2: yarl" in capsys.readouterr().out


def test_nothing_keeps_this_machine_from_an_installation() -> None:
    assert obstacles(Machine.this()) == []


def test_the_packages_of_a_lock_are_counted_without_their_hashes() -> None:
    lock = "aiohttp==3.14.1 \\\n    --hash=sha256:00\nyarl==1.25.1 ; sys_platform == 'linux' \\\n"
    assert install.count_packages(lock) == 2
