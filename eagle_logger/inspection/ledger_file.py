"""The simulator's ledger, and the deaths of processes beside it: what was served, and to whom.

Every line of a ledger is a reply with its readings. `verify` reads it twice, so a ledger is a
function that gives the lines anew each time it is called.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from eagle_logger.errors import ConfigurationError, Unreadable

Ledger = Callable[[], Iterable[bytes]]
Reply = Mapping[str, Any]
Deaths = Mapping[str, list[float]]
"""When processes died (real Unix seconds), by the agent that each called itself."""

DRY_RUN = "dry-run"
"""The name, in its User-Agent, of a process that asks a gateway and logs nothing."""
FSYNCED_WITHIN_S = 12.0
"""Real seconds. By then a reply's readings are fsynced, or its process says that they cannot be."""
_SIGN_OF_LIFE_EVERY_S = 5.0
"""Real seconds, at most, between two signs of life of a system whose end nobody saw."""
_FETCH_WITHIN_S = 30.0
_NAMES = ("ledger.jsonl", "simulator/ledger.jsonl")
"""Where a data directory may have its ledger."""


def find_ledger(data_dir: Path, ledger: str | None, directory: Path) -> Path:
    """The file of a ledger. `ledger` is a file or a URL, whose content goes into `directory`;
    without it, the data directory's own ledger counts. Raises ConfigurationError."""
    if ledger is None:
        paths = [data_dir / name for name in _NAMES if (data_dir / name).exists()]
        if not paths:
            raise ConfigurationError(
                f"there is no {_NAMES[0]} in {data_dir}: name one with --ledger"
            )
        return paths[0]
    if ledger.startswith(("http://", "https://")):
        return _download(ledger, directory / _NAMES[0])
    if not Path(ledger).is_file():
        raise ConfigurationError(f"--ledger {ledger}: there is no such file")
    return Path(ledger)


def _download(url: str, path: Path) -> Path:
    try:
        with httpx.stream("GET", url, timeout=_FETCH_WITHIN_S) as answer, path.open("wb") as file:
            answer.raise_for_status()
            for piece in answer.iter_bytes():
                file.write(piece)
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        raise ConfigurationError(f"--ledger {url}: {exc}") from None
    return path


def read_lines_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file


def read_replies(ledger: Ledger) -> Iterator[Reply]:
    """The replies with readings that a logging client received. A killed simulator leaves a last
    line without its end, which is left out. Raises Unreadable for a file that is no ledger."""
    for number, line in enumerate(ledger(), 1):
        try:
            reply = json.loads(line)
        except ValueError:
            if not line.endswith(b"\n"):
                return
            raise Unreadable(f"line {number} of the ledger is not JSON") from None
        if not isinstance(reply, dict) or "readings" not in reply:
            raise Unreadable(f"line {number} of the ledger is no reply")
        is_dry_run = f" {DRY_RUN}/" in reply.get("agent", "")
        if reply["readings"] and not reply.get("client_closed") and not is_dry_run:
            yield reply


def read_deaths(lines: Iterable[bytes]) -> Deaths:
    """The deaths in the lines of `deaths.jsonl`. A line that a power cut damaged proves no death,
    and is left out."""
    deaths: defaultdict[str, list[float]] = defaultdict(list)
    for line in lines:
        with suppress(ValueError, KeyError, TypeError):
            death = json.loads(line) if line.endswith(b"\n") else {}
            deaths[death["agent"]].append(float(death["wall"]))
    return deaths


def died_before_fsync(reply: Reply, deaths: Deaths) -> bool:
    """Whether the process that got this reply died before it could have fsynced its readings.

    A death may be recorded a little before the last replies to the process: nobody reads what
    reaches a dead process's socket, and a process that died together with `up` is only known to
    have lived at the last sign of life.
    """
    return any(
        -_SIGN_OF_LIFE_EVERY_S <= died_at - reply["wall"] <= FSYNCED_WITHIN_S
        for died_at in deaths.get(reply["agent"], ())
    )
