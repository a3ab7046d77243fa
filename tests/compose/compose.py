"""`docker compose` for a test: its own project, on free ports."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).parents[2]
PROJECT = "eagle-logger-test"

PATIENCE_S = 180.0
"""How long a test waits for a state. The engine shares two cores with all that it runs."""

Answer = TypeVar("Answer")


class CommandFailed(AssertionError):
    """A command ended with another exit code than 0."""


@dataclass(frozen=True)
class Container:
    id: str
    service: str
    state: str
    health: str
    exit_code: int


class Compose:
    """The project in this working tree, under a name that only this test uses."""

    def __init__(self, **settings: str) -> None:
        self.flower_port, self.bridge_port = _free_port(), _free_port()
        ports = {"FLOWER_PORT": str(self.flower_port), "BRIDGE_PORT": str(self.bridge_port)}
        # A .env in the working tree may name other files.
        files = "docker-compose.yml:docker-compose.override.yml"
        self._environment = {
            **os.environ,
            **ports,
            "COMPOSE_PROJECT_NAME": PROJECT,
            "COMPOSE_FILE": files,
            **settings,
        }

    def __call__(self, *words: str, within: float = PATIENCE_S, stdin: str | None = None) -> str:
        """Run `docker compose …`; returns its output. Raises CommandFailed, or TimeoutExpired after
        `within` seconds."""
        return self._run("docker", "compose", *words, within=within, stdin=stdin)

    def docker(self, *words: str) -> str:
        """Run `docker …`; returns its output and errors, because `docker logs` prints to both."""
        return self._run("docker", *words, within=PATIENCE_S, errors_too=True)

    def exec(self, service: str, *command: str, stdin: str | None = None) -> str:
        return self("exec", "-T", service, *command, stdin=stdin)

    def containers(self, service: str = "") -> list[Container]:
        """All containers, or those of a service, including those that have ended."""
        lines = self("ps", "-a", "--format", "json", *([service] if service else [])).splitlines()
        rows = [json.loads(line) for line in lines if line.startswith("{")]
        return [
            Container(row["ID"], row["Service"], row["State"], row["Health"], int(row["ExitCode"]))
            for row in rows
        ]

    def container(self, service: str) -> Container:
        return self.containers(service)[0]

    def restarts(self, container: Container) -> int:
        return int(self.docker("inspect", "--format", "{{.RestartCount}}", container.id))

    def kill(self, container: Container, signal: str = "KILL") -> int:
        """Send a signal to the program in a container, not to the init process above it. Returns
        its pid in the container."""
        pid = self.docker("exec", container.id, "cat", "/proc/1/task/1/children").split()[0]
        self.docker("exec", container.id, "sh", "-c", f"kill -{signal} {pid}")
        return int(pid)

    def status(self) -> dict[str, Any]:
        return dict(json.loads(self.exec("rotator", "eagle-logger", "status", "--json")))

    def readings(self) -> int:
        """How many readings have been logged so far."""
        return sum(user["readings_total"] for user in self.status()["users"])

    def objects(self) -> int:
        """How many objects there are in the archive."""
        return len(self.exec("s3", "find", "/objects", "-name", "*.gz").split())

    def flower(self, path: str, *, password: bool = True) -> tuple[int, Any]:
        """Flower's answer: status and JSON."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.flower_port}{path}")
        if password:
            secret = self.exec("flower", "cat", "/secrets/flower_password").strip()
            request.add_header(
                "Authorization", "Basic " + base64.b64encode(f"eagle:{secret}".encode()).decode()
            )
        return get_json(request)

    def _run(
        self, *command: str, within: float, stdin: str | None = None, errors_too: bool = False
    ) -> str:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
            input=stdin,
        )
        if done.returncode:
            raise CommandFailed(
                f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
            )
        return done.stdout + done.stderr if errors_too else done.stdout


def get_json(request: urllib.request.Request | str) -> tuple[int, Any]:
    """Status and JSON of the answer: None without JSON, 0 without an answer."""
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as exc:
        exc.close()
        return exc.code, None
    except (urllib.error.URLError, OSError):
        return 0, None


def eventually(ask: Callable[[], Answer], what: str, *, within: float = PATIENCE_S) -> Answer:
    """Ask until the answer is true, and return it. While the system starts or stops, commands may
    fail, or print nothing that can be read; that counts as no answer."""
    until = time.monotonic() + within
    while True:
        try:
            answer = ask()
        except (CommandFailed, LookupError, ValueError) as exc:
            last: object = exc
        else:
            if answer:
                return answer
            last = answer
        if time.monotonic() > until:
            raise AssertionError(f"not within {within:.0f} s: {what}; last: {last}")
        time.sleep(0.5)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
