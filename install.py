"""`make install`: makes the virtual environment and installs requirements.lock into it. It first
names what this machine lacks, then shows its progress. It uses the standard library only, because
nothing is installed yet. The Makefile has checked that this Python is 3.11 or newer."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent
LOCK = ROOT / "requirements.lock"
GLIBC = (2, 28)
_MACHINES = frozenset({"x86_64", "aarch64", "arm64"})
_COMES = re.compile(r"\s*(?:Collecting|Processing) (?:\S*/)?([A-Za-z0-9._-]+?)(?:==|-\d|\s|$)")
_EVERY = 20
"""Packages between two lines of progress without a terminal."""
_LAST_WORDS = 15


@dataclass(frozen=True, slots=True)
class Machine:
    system: str
    machine: str
    glibc: tuple[int, ...] | None
    has_ensurepip: bool
    has_uv: bool
    has_server: bool

    @classmethod
    def this(cls) -> Machine:
        name, version = platform.libc_ver()
        return cls(
            system=sys.platform,
            machine=platform.machine(),
            glibc=tuple(int(part) for part in version.split(".")) if name == "glibc" else None,
            has_ensurepip=importlib.util.find_spec("ensurepip") is not None,
            has_uv=shutil.which("uv") is not None,
            has_server=bool(
                os.environ.get("EAGLE_REDIS_URL")
                or shutil.which("valkey-server")
                or shutil.which("redis-server")
            ),
        )


def obstacles(here: Machine) -> list[str]:
    """What would make the installation fail."""
    found = []
    if not here.has_ensurepip and not here.has_uv:
        found.append(
            "this Python cannot make virtual environments with pip: apt install python3-venv, or install uv"
        )
    if (
        here.system == "linux"
        and here.machine in _MACHINES
        and (here.glibc is None or here.glibc < GLIBC)
    ):
        has = (
            "another C library than glibc"
            if here.glibc is None
            else f"glibc {'.'.join(map(str, here.glibc))}"
        )
        found.append(
            f"this system has {has}, and packages need glibc 2.28 or newer (Debian 10, Ubuntu 20.04, RHEL 8): "
            "use the Docker images here (docs/how-to/docker.md)"
        )
    return found


def remarks(here: Machine) -> list[str]:
    """What will be missing after the installation."""
    if (here.system in {"linux", "darwin"} and here.machine in _MACHINES) or here.has_server:
        return []
    where = f"{here.system} on {here.machine}"
    return [
        f"no Redis comes along for {where}: install valkey-server or redis-server, or set EAGLE_REDIS_URL, before `up`"
    ]


def install(venv: Path, here: Machine) -> None:
    """Raises CalledProcessError, after pip's last lines were printed."""
    began = time.monotonic()
    python = str(venv / "bin" / "python")
    locked = ["--require-hashes", "-r", str(LOCK)]
    itself = ["--no-deps", "--no-build-isolation", "-e", str(ROOT)]
    say(f"1/3 {venv.name}, with Python {platform.python_version()}")
    by_uv = here.has_uv and _with_uv(venv, python, locked, itself)
    if not by_uv:
        run([sys.executable, "-m", "venv", str(venv)])
        pip = [
            python,
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--progress-bar",
            "off",
        ]
        say(
            f"2/3 the {packages()} packages of {LOCK.name}, by pip: a minute or two (with uv on PATH, some seconds)"
        )
        _show_pip([*pip, *locked])
        say("3/3 eagle_logger itself")
        run([*pip, "--quiet", *itself])
    say(f"installed in {time.monotonic() - began:.0f} s: {venv.name}/bin/eagle-logger --help")


def packages(lock: str | None = None) -> int:
    """How many packages the lock names; some are for other systems."""
    text = LOCK.read_text() if lock is None else lock
    return len(re.findall(r"^[A-Za-z0-9][^\s=]*==", text, re.MULTILINE))


def _with_uv(venv: Path, python: str, locked: list[str], itself: list[str]) -> bool:
    """Returns False if uv fails: it does not read pip's settings, such as a company's mirror."""
    run([sys.executable, "-m", "venv", "--without-pip", str(venv)])
    say(f"2/3 the {packages()} packages of {LOCK.name}, by uv")
    uv = ["uv", "pip", "install", "--python", python]
    if subprocess.run([*uv, "--compile-bytecode", *locked], check=False).returncode:
        say("uv failed; trying pip")
        return False
    say("3/3 eagle_logger itself")
    run([*uv, "--quiet", *itself])
    return True


def _show_pip(command: Sequence[str]) -> None:
    """Run pip, and name the packages as they come: each on a terminal, in one line; every twentieth
    elsewhere."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as pip:
        assert pip.stdout is not None
        last_words = _follow(pip.stdout, is_terminal=sys.stdout.isatty())
    if pip.returncode:
        print(*last_words, sep="\n", file=sys.stderr)
        raise subprocess.CalledProcessError(pip.returncode, "pip install")


def _follow(lines: Iterable[str], *, is_terminal: bool) -> list[str]:
    seen, last_words = 0, list[str]()
    for line in lines:
        last_words = [*last_words, line.rstrip()][-_LAST_WORDS:]
        if found := _COMES.match(line):
            seen += 1
            if is_terminal:
                print(f"\r\033[K    {seen}: {found[1]}", end="", flush=True)
            elif seen % _EVERY == 1:
                say(f"    {seen}: {found[1]}")
        elif line.startswith("Installing collected packages"):
            print("\r\033[K" if is_terminal else "", end="")
            say(f"    {seen} are here; unpacking them")
    return last_words


def run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True)


def say(text: str) -> None:
    print(text, flush=True)


def main(venv: str) -> int:
    here = Machine.this()
    for remark in remarks(here):
        say(f"note: {remark}")
    if found := obstacles(here):
        print("Nothing was installed:", *found, sep="\n- ", file=sys.stderr)
        return 1
    try:
        install(Path(venv), here)
    except subprocess.CalledProcessError as exc:
        print(f"not installed: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
