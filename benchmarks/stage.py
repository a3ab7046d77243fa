"""What every contender runs in: a directory, a simulated relay, a Redis, and processes that all end
with it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import redis

from benchmarks import proc
from eagle_logger.core.redis_address import RedisAddress
from eagle_logger.users.cipher import new_key
from tests.support.certificates import Authority
from workers.up.redis_server import await_redis
from workers.up.servers import find_server

ROOT = Path(__file__).parent.parent
EAGLE = str(Path(sys.executable).parent / "eagle-logger")
BUCKET = "eagle"
_STARTS_WITHIN_S = 60.0


class Failed(Exception):
    """A process failed. The message names it, and shows the end of its log."""


class Processes:
    """Processes that are started here, and ended in reverse order, each by its id."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(
        self, name: str, command: Sequence[str], settings: Mapping[str, str] | None = None
    ) -> int:
        """Start a process; returns its id. Its output goes to `<name>.log`. It gets these EAGLE_
        settings and none from our environment."""
        with self.log(name).open("wb") as log:
            self._running[name] = subprocess.Popen(
                list(command),
                cwd=ROOT,
                env=environment(settings),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self._running[name].pid

    def log(self, name: str) -> Path:
        return self.directory / f"{name}.log"

    def ids(self, *names: str) -> dict[str, int]:
        """Name → process id, of these processes or of all."""
        return {
            name: process.pid
            for name, process in self._running.items()
            if not names or name in names
        }

    def check(self) -> None:
        """Raises Failed if one has ended by itself."""
        for name, process in self._running.items():
            if process.poll() is not None:
                end_of_log = self.log(name).read_text(errors="replace")[-2000:]
                raise Failed(f"{name} ended with {process.returncode}:\n{end_of_log}")

    def wait_until(
        self, what: str, happened: Callable[[], bool], patience: float = _STARTS_WITHIN_S
    ) -> None:
        until = time.monotonic() + patience
        while not happened():
            self.check()
            if time.monotonic() > until:
                raise Failed(f"{what}: not within {patience:g} s")
            time.sleep(0.1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._running.values()):
            _end(process)


@dataclass(frozen=True, slots=True)
class Conditions:
    """How the relay answers: after `latency` seconds, `spread` more or less; never to the share
    `hanging` of the homes; over TLS; closing the connection after every reply, as captured relays
    do."""

    latency: float = 0.2
    spread: float = 0.05
    hanging: float = 0.0
    tls: bool = False
    closing: bool = False

    def rules(self) -> list[dict[str, Any]]:
        hang = [{"fault": "hang", "homes_share": self.hanging}] if self.hanging else []
        return [*hang, {"fault": "close"}] if self.closing else hang


@dataclass(frozen=True, slots=True)
class Relay:
    """The simulated relay, its accounts, and its statistics."""

    url: str
    users_file: Path
    pid: int
    homes: int
    ca: Path | None = None
    """The authority to trust, if the relay speaks TLS."""

    @property
    def post_url(self) -> str:
        return f"{self.url}/cgi-bin/post_manager"

    def answered(self) -> int:
        """How many requests got a reading so far. The relay counts alike for every contender."""
        tls = ssl.create_default_context(cafile=self.ca) if self.ca else None
        with urllib.request.urlopen(f"{self.url}/stats", timeout=30, context=tls) as reply:
            outcomes: dict[str, int] = json.load(reply)["outcomes"]
        return outcomes.get("ok", 0) + outcomes.get("close", 0)

    def accounts(self, most: int) -> list[dict[str, Any]]:
        with self.users_file.open() as lines:
            return [json.loads(line) for _, line in zip(range(most), lines, strict=False)]


@dataclass(frozen=True, slots=True)
class Redis:
    port: int
    pid: int

    def url(self, database: int = 0) -> str:
        return f"redis://127.0.0.1:{self.port}/{database}"

    def info(self) -> dict[str, Any]:
        with redis.Redis(port=self.port) as client:
            info: dict[str, Any] = client.info()
        return info

    def empty(self) -> None:
        with redis.Redis(port=self.port) as client:
            client.flushall()


class Stage:
    """A working directory with a relay and fresh Redis servers in it, removed at the end."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._open = ExitStack()
        self._count = 0

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True)
        self._open.callback(shutil.rmtree, self.directory, ignore_errors=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def processes(self, name: str) -> Processes:
        """An empty group of processes in its own directory, for `with`."""
        self._count += 1
        directory = self.directory / f"{self._count:02d}-{name}"
        directory.mkdir()
        return Processes(directory)

    def relay(self, homes: int, conditions: Conditions) -> Relay:
        """Start the relay. It ends with the stage."""
        processes = self._open.enter_context(self.processes("relay"))
        port, users = free_port(), processes.directory / "users.jsonl"
        command = [EAGLE, "simulate", "--homes", str(homes), "--port", str(port)]
        command += ["--users-file", str(users), "--latency", str(conditions.latency)]
        command += ["--latency-spread", str(conditions.spread)]
        if rules := conditions.rules():
            faults = processes.directory / "faults.json"
            faults.write_text(json.dumps({"rules": rules}))
            command += ["--faults", str(faults)]
        ca = None
        if conditions.tls:
            shown, ca = processes.directory / "relay.pem", processes.directory / "root.pem"
            _write_certificates(shown, ca)
            command += ["--certificate", str(shown)]
        pid = processes.start("relay", command, {"EAGLE_DATA_DIR": str(processes.directory)})
        processes.wait_until(
            "the relay", lambda: "EAGLE_RELAY_URL=" in processes.log("relay").read_text()
        )
        return Relay(f"http{'s' if ca else ''}://127.0.0.1:{port}", users, pid, homes, ca)


def _write_certificates(shown: Path, ca: Path) -> None:
    """A chain as public authorities issue them: RSA throughout, and an intermediate authority."""
    root = Authority("benchmark root")
    intermediate = Authority("benchmark authority", parent=root)
    relay = intermediate.issue("127.0.0.1")
    shown.write_bytes(relay.pem + intermediate.pem + relay.key_pem)
    root.write(ca)


def start_redis(processes: Processes) -> Redis:
    """Start Redis as `eagle-logger up` does: every write goes into its append-only file, which is
    on disk within a second."""
    port = free_port()
    command = [find_server().path, "--port", str(port), "--bind", "127.0.0.1"]
    command += ["--dir", str(processes.directory), "--save", "", "--appendonly", "yes"]
    command += ["--appendfsync", "everysec", "--maxmemory-policy", "noeviction"]
    redis_server = Redis(port, processes.start("redis", command))
    await_redis(RedisAddress.parse(redis_server.url()), _STARTS_WITHIN_S)
    return redis_server


def start_s3(processes: Processes, objects: Path | None = None) -> dict[str, str]:
    """Start the strict stand-in for S3 with the bucket `BUCKET`. Its objects are in `objects`, or
    else in `s3/`. Returns the settings that lead to it."""
    port = free_port()
    access = {"EAGLE_AWS_ACCESS_KEY_ID": "bench", "EAGLE_AWS_SECRET_ACCESS_KEY": new_key()}
    directory = objects or processes.directory / "s3"
    command = [EAGLE, "simulate-s3", "--port", str(port), "--bucket", BUCKET]
    command += ["--directory", str(directory)]
    processes.start("s3", command, {**access, "EAGLE_DATA_DIR": str(processes.directory)})
    url = f"http://127.0.0.1:{port}"
    processes.wait_until("the S3 stand-in", lambda: url in processes.log("s3").read_text())
    return {**access, "EAGLE_S3_ENDPOINT_URL": url}


def environment(settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of this process, with these EAGLE_ settings and no others."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("EAGLE_")}
    return {**others, **(settings or {})}


def run(command: Sequence[str], settings: Mapping[str, str]) -> tuple[float, float, str]:
    """Run a command to its end. Returns seconds, CPU seconds (with its children's) and its output.
    Raises Failed."""
    began = time.monotonic()
    before = os.times()
    done = subprocess.run(
        list(command),
        cwd=ROOT,
        env=environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )
    after = os.times()
    if done.returncode:
        raise Failed(f"{command}: {done.returncode}\n{done.stderr[-2000:]}")
    cpu = (
        after.children_user - before.children_user + after.children_system - before.children_system
    )
    return time.monotonic() - began, cpu, done.stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def redis_cpu(server: Redis) -> float:
    return proc.cpu_seconds(server.pid)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(25)
    # The process leads its own group. Children that outlived it, as prefork's do, are in it.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
