"""What `make install` says: beforehand what the machine lacks, and meanwhile what it does."""

from __future__ import annotations

from dataclasses import replace

import pytest

import install
from install import Machine, obstacles, remarks

GOOD = Machine("linux", "x86_64", (2, 36), has_ensurepip=True, has_uv=False, has_server=False)


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


def test_without_a_server_for_this_machine_it_says_what_to_install() -> None:
    other = replace(GOOD, machine="riscv64")
    (remark,) = remarks(other)
    assert "no Redis comes along for linux on riscv64" in remark
    assert remarks(replace(other, has_server=True)) == []


def test_the_progress_of_pip_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [
        "Collecting aiohttp==3.14.1 (from -r requirements.lock (line 1))\n",
        "  Downloading aiohttp-3.14.1-cp313-cp313-manylinux_2_28_x86_64.whl (1.7 MB)\n",
        "Processing /mirror/yarl-1.25.1-cp313-cp313-manylinux_2_28_x86_64.whl (from -r requirements.lock (line 9))\n",
        "Installing collected packages: aiohttp, yarl\n",
    ]
    assert install._follow(lines, is_terminal=False) == [line.rstrip() for line in lines]
    assert capsys.readouterr().out.split("\n") == [
        "    1: aiohttp",
        "    2 are here; unpacking them",
        "",
    ]
    install._follow(lines, is_terminal=True)
    assert "\r\033[K    2: yarl" in capsys.readouterr().out


def test_this_machine_can_be_installed_on() -> None:
    assert obstacles(Machine.this()) == []
    assert (
        install.packages(
            "aiohttp==3.14.1 \\\n    --hash=sha256:00\nyarl==1.25.1 ; sys_platform == 'linux' \\\n"
        )
        == 2
    )
