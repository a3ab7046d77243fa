"""`make install`: make the virtual environment and install requirements.lock into it.

It first names what this machine lacks, then shows its progress. It uses the standard library only,
because nothing is installed yet. The Makefile has checked that this Python is 3.11 or newer.
"""

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
OLDEST_GLIBC = (2, 28)
_MACHINES_WITH_WHEELS = frozenset({"x86_64", "aarch64", "arm64"})
_PACKAGE_LINE = re.compile(
    r"\s*(?:Collecting|Processing) (?:\S*/)?([A-Za-z0-9._-]+?)(?:==|-\d|\s|$)"
)
_PACKAGES_PER_LINE = 20
"""How many packages one line of progress stands for, if there is no terminal."""
_MAX_LAST_LINES = 15


@dataclass(frozen=True, slots=True)
class Machine:
    system: str
    machine: str
    glibc: tuple[int, ...] | None
    has_ensurepip: bool
    has_uv: bool
    has_redis_server: bool

    @classmethod
    def this(cls) -> Machine:
        """The machine that this runs on."""
        name, version = platform.libc_ver()
        return cls(
            system=sys.platform,
            machine=platform.machine(),
            glibc=tuple(int(part) for part in version.split(".")) if name == "glibc" else None,
            has_ensurepip=importlib.util.find_spec("ensurepip") is not None,
            has_uv=shutil.which("uv") is not None,
            has_redis_server=bool(
                os.environ.get("EAGLE_REDIS_URL")
                or shutil.which("valkey-server")
                or shutil.which("redis-server")
            ),
        )


def obstacles(machine: Machine) -> list[str]:
    """What would make the installation fail."""
    reasons = []
    if not machine.has_ensurepip and not machine.has_uv:
        reasons.append(
            "this Python cannot make virtual environments with pip: apt install python3-venv, "
            "or install uv"
        )
    needs_glibc = machine.system == "linux" and machine.machine in _MACHINES_WITH_WHEELS
    if needs_glibc and (machine.glibc is None or machine.glibc < OLDEST_GLIBC):
        has = "another C library than glibc"
        if machine.glibc is not None:
            has = f"glibc {'.'.join(map(str, machine.glibc))}"
        reasons.append(
            f"this system has {has}, and packages need glibc 2.28 or newer (Debian 10, "
            "Ubuntu 20.04, RHEL 8): use the Docker images here (docs/how-to/docker.md)"
        )
    return reasons


def remarks(machine: Machine) -> list[str]:
    """What will be missing after the installation."""
    has_wheels = machine.machine in _MACHINES_WITH_WHEELS
    if (machine.system in {"linux", "darwin"} and has_wheels) or machine.has_redis_server:
        return []
    remark = (
        f"no Redis comes along for {machine.system} on {machine.machine}: install valkey-server or "
        "redis-server, or set EAGLE_REDIS_URL, before `up`"
    )
    return [remark]


def install(venv: Path, *, has_uv: bool) -> None:
    """Raises CalledProcessError, after pip's last lines were printed."""
    began = time.monotonic()
    python = str(venv / "bin" / "python")
    locked = ["--require-hashes", "-r", str(LOCK)]
    itself = ["--no-deps", "--no-build-isolation", "-e", str(ROOT)]
    say(f"1/3 {venv.name}, with Python {platform.python_version()}")
    if not (has_uv and _install_with_uv(venv, python, locked, itself)):
        run([sys.executable, "-m", "venv", str(venv)])
        options = ["--disable-pip-version-check", "--progress-bar", "off"]
        pip = [python, "-m", "pip", "install", *options]
        say(
            f"2/3 the {count_packages(LOCK.read_text())} packages of {LOCK.name}, by pip: "
            "a minute or two (with uv on PATH, some seconds)"
        )
        _run_pip([*pip, *locked])
        say("3/3 eagle_logger itself")
        run([*pip, "--quiet", *itself])
    say(f"installed in {time.monotonic() - began:.0f} s: {venv.name}/bin/eagle-logger --help")


def count_packages(lock: str) -> int:
    """How many packages the lock names. Some are for other systems."""
    return len(re.findall(r"^[A-Za-z0-9][^\s=]*==", lock, re.MULTILINE))


def _install_with_uv(venv: Path, python: str, locked: list[str], itself: list[str]) -> bool:
    """Returns False if uv fails. It may fail where pip works, because it does not read pip's
    settings, such as a company's mirror."""
    run([sys.executable, "-m", "venv", "--without-pip", str(venv)])
    say(f"2/3 the {count_packages(LOCK.read_text())} packages of {LOCK.name}, by uv")
    uv = ["uv", "pip", "install", "--python", python]
    if subprocess.run([*uv, "--compile-bytecode", *locked], check=False).returncode:
        say("uv failed; trying pip")
        return False
    say("3/3 eagle_logger itself")
    run([*uv, "--quiet", *itself])
    return True


def _run_pip(command: Sequence[str]) -> None:
    """Run pip, and name the packages as they come: every one on a terminal, in one line; every
    twentieth elsewhere."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as pip:
        assert pip.stdout is not None
        last_lines = show_progress(pip.stdout, is_terminal=sys.stdout.isatty())
    if pip.returncode:
        print(*last_lines, sep="\n", file=sys.stderr)
        raise subprocess.CalledProcessError(pip.returncode, "pip install")


def show_progress(lines: Iterable[str], *, is_terminal: bool) -> list[str]:
    """Read pip's output and show how far it is. Returns the last lines, for an error."""
    count, last_lines = 0, list[str]()
    for line in lines:
        last_lines = [*last_lines, line.rstrip()][-_MAX_LAST_LINES:]
        if package := _PACKAGE_LINE.match(line):
            count += 1
            if is_terminal:
                print(f"\r\033[K    {count}: {package[1]}", end="", flush=True)
            elif count % _PACKAGES_PER_LINE == 1:
                say(f"    {count}: {package[1]}")
        elif line.startswith("Installing collected packages"):
            print("\r\033[K" if is_terminal else "", end="")
            say(f"    {count} are here; unpacking them")
    return last_lines


def run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True)


def say(message: str) -> None:
    print(message, flush=True)


def main(venv: str) -> int:
    machine = Machine.this()
    for remark in remarks(machine):
        say(f"note: {remark}")
    if reasons := obstacles(machine):
        print("Nothing was installed:", *reasons, sep="\n- ", file=sys.stderr)
        return 1
    try:
        install(Path(venv), has_uv=machine.has_uv)
    except subprocess.CalledProcessError as exc:
        print(f"not installed: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
