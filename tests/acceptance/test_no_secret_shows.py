"""Uses and abuses the whole system in every way that involves a secret, and then searches
everything that it has written."""

from __future__ import annotations

import base64
import json
import re
import stat
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import pytest
import redis

from eagle_logger.core.users import Credentials, User
from eagle_logger.users.cipher import Cipher, new_key
from eagle_logger.users.redis.encoding import encode_user
from tests.acceptance.running import EAGLE_LOGGER, Up, environment
from tests.support.leaks import Place, command_lines, files, redis_content, shown
from tests.support.polling import wait_until
from tests.support.programs import run_to_end

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
    pytest.mark.timeout(600),
]

TOKEN = "token of the bridge, made for this test"
WRONG = 'no <password> & "none" at all'
INSTALL_CODE, LINK_KEY = "0x8ba7f1d6c3e90452", "0x1f2e3d4c5b6a79880796a5b4c3d2e1f0"
HOLD_SECRETS = {
    *(
        "secret.keys",
        "services.json",
        "password",
        "redis.conf",
        "flower.password",
        "supervisord.conf",
    ),
    *("users.jsonl", "aws-secret"),  # the stand-ins' own
}
"""The files of the data directory that hold secrets. Only their owner may read them."""
SETTINGS = {
    "EAGLE_BRIDGE_PORT": "0",
    "EAGLE_FLOWER_PORT": "0",
    "EAGLE_API_TOKEN": TOKEN,
    "EAGLE_ROTATE_OPEN_EVERY": "5",
}


class System:
    """What the test does to a running `up --homes`."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.services: Mapping[str, str] = json.loads((data / "services.json").read_text())
        self.homes = [
            json.loads(line)
            for line in (data / "simulator" / "users.jsonl").read_text().splitlines()
        ]
        self.bridge = f"http://127.0.0.1:{self.services['bridge_port']}"
        self.flower = f"http://127.0.0.1:{self.services['flower_port']}"
        self.flower_password = (data / "flower.password").read_text().strip()
        self.outputs: list[Place] = []
        """Everything that the system has printed or answered to this test."""

    def __call__(self, *words: str, stdin: str = "") -> str:
        """Run `eagle-logger …`; returns its standard output."""
        done = run_to_end([*EAGLE_LOGGER, *words], env=environment(self.data), stdin=stdin)
        output = (done.stdout + done.stderr).encode()
        self.outputs.append((f"the output of `eagle-logger {words[0]}`", output))
        return done.stdout

    def celery(self, *words: str) -> None:
        """Run `celery …` until it prints something. A worker has only a second to answer."""
        command = [sys.executable, "-m", "celery", "-A", "workers.app", *words]

        def prints() -> bool:
            done = run_to_end(command, env=environment(self.data))
            output = (done.stdout + done.stderr).encode()
            self.outputs.append((f"the output of `celery {' '.join(words)}`", output))
            return bool(done.stdout)

        wait_until(prints)

    def ask(
        self, url: str, *, body: bytes | None = None, method: str | None = None, **headers: str
    ) -> bytes:
        """Make an HTTP request; returns body and headers of the answer, whatever its status."""
        request = urllib.request.Request(url, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                answer = bytes(response.read() + str(response.headers).encode())
        except urllib.error.HTTPError as exc:
            answer = exc.read() + str(exc.headers).encode()
        self.outputs.append((f"{method or 'GET'} {re.sub('[?].*', '', url)}", answer))
        return answer

    def ask_flower(self, path: str) -> bytes:
        login = base64.b64encode(f"eagle:{self.flower_password}".encode()).decode()
        return self.ask(f"{self.flower}{path}", Authorization=f"Basic {login}")

    def users(self) -> dict[str, dict[str, Any]]:
        return {user["cloud_id"]: user for user in json.loads(self("status", "--json"))["users"]}

    def has_logged(self, words: str) -> bool:
        return any(
            words in path.read_text(errors="replace")
            for path in (self.data / "run" / "log").glob("*.log*")
        )


class PublishedMessages:
    """Everything that is published through Redis while the context is open: Celery's events, and
    requests and answers of `inspect`."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url)
        self._subscription = self._client.pubsub()  # type: ignore[no-untyped-call]
        self._subscription.psubscribe("*")
        self.places: list[Place] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._subscription.close()
        self._client.close()

    def _listen(self) -> None:
        while not self._over.is_set():
            message = self._subscription.get_message(timeout=0.2)
            if message and message["type"] == "pmessage":
                self.places.append((f"an event on {message['channel']!r}", message["data"]))


def test_no_secret_shows_anywhere(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Up(data, "--homes", "6", **SETTINGS) as up:
        up.await_ready()
        system = System(data)
        secrets = secrets_of(system)
        with PublishedMessages(system.services["redis_url"]) as published:
            use_and_abuse(system)
            look_at_everything(system)
            redis_and_processes = [*redis_content(system.services["redis_url"]), *command_lines()]
            # The search would find what is published.
            for no_secret in ("task-succeeded", "1 user, 1 fetched"):
                wait_until(lambda: any(shown({"": no_secret}, list(published.places))))  # noqa: B023  (called at once)
        up.ask_to_stop()
        assert up.wait() == 0, up.screen
    written = [*files(data, but=HOLD_SECRETS), ("the screen", up.screen.encode())]
    searched = {where for where, _ in written}
    assert "run/log/fetch-1.log" in searched
    assert any(
        where.startswith("redis/appendonly") and where.endswith(".aof") for where in searched
    )
    # It may end with .dat, .db or nothing, depending on how Python was built.
    assert any(where.startswith("flower.db") for where in searched)
    assert any(where.startswith("samples/") for where in searched)
    assert any(where.endswith(".gz, unpacked") for where in searched)
    places = [*written, *redis_and_processes, *system.outputs, *published.places]
    leaks = list(shown(secrets, places))
    assert not leaks, "\n".join(leaks)
    assert list(readable_by_others(data)) == []
    assert_lines_can_be_found(data)


def secrets_of(system: System) -> dict[str, str]:
    return {
        **{f"the password of {home['cloud_id']}": home["user_pw"] for home in system.homes},
        "a wrong password": WRONG,
        "the install code": INSTALL_CODE,
        "the link key": LINK_KEY,
        "the key": (system.data / "secret.keys").read_text().strip(),
        "the API token": TOKEN,
        "Flower's password": system.flower_password,
        "Redis' password": (system.data / "redis" / "password").read_text().strip(),
        "the secret of S3": (system.data / "simulator" / "aws-secret").read_text().strip(),
    }


def use_and_abuse(system: System) -> None:
    """Treat each home in another way, and wait until its state shows the effect."""
    refused, locked, put, telling, strange, pinged = (home["cloud_id"] for home in system.homes)
    system("users", "add", refused, "--email", "owner@homes.example", stdin=WRONG)
    seal_with_a_lost_key(system, locked)
    account = system.homes[2]
    body = json.dumps({"user_email": account["user_email"], "user_pw": account["user_pw"]}).encode()
    system.ask(f"{system.bridge}/api/users/{put}", body=body, Authorization=f"Bearer {TOKEN}")
    system.ask(f"{system.bridge}/api/users/{put}", body=body[:-1], Authorization=f"Bearer {TOKEN}")
    system.ask(
        f"{system.bridge}/api/users/{put}?token={TOKEN.replace(' ', '+')}",
        body=body,
        Authorization=f"bearer{TOKEN}",
    )
    system.ask(f"{system.bridge}/sns", body=body)
    put_faults(system, faults(system, telling, strange))
    system("ping", pinged)
    system("ping", pinged, "--direct")
    wait_until(lambda: system.has_logged("sqs_message"))
    wait_until(lambda: (system.users()[refused]["why_not"] or "").startswith("refused"))
    wait_until(lambda: "no_key" in (system.users()[locked]["last_error"] or ""))
    wait_until(
        lambda: all(
            any(system.data.rglob(f"samples/*/{cloud_id}.jsonl")) for cloud_id in (telling, strange)
        )
    )
    wait_until(lambda: any(system.data.rglob("*.gz")))


def seal_with_a_lost_key(system: System, cloud_id: str) -> None:
    """Store the password under an unknown key, as after a restore from a backup whose key is lost.
    The command line refuses to do that."""
    sealed = Cipher([new_key()]).seal(Credentials(cloud_id, "owner@homes.example", WRONG))
    with redis.Redis.from_url(system.services["redis_url"]) as server:
        server.hset(f"eagle:users:{cloud_id[:2]}", cloud_id, encode_user(User(cloud_id), sealed))


def put_faults(system: System, faults: bytes) -> None:
    """Set the simulated relay's faults, without keeping its answer, which repeats the secrets."""
    url = system.services["relay_url"].replace("/cgi-bin/post_manager", "/faults")
    with urllib.request.urlopen(
        urllib.request.Request(url, faults, method="PUT"), timeout=10
    ) as answer:
        assert answer.status == 200


def faults(system: System, telling: str, strange: str) -> bytes:
    """One home gets an error that repeats its password, another the keys of its gateway."""
    password = next(home["user_pw"] for home in system.homes if home["cloud_id"] == telling)
    error = f"cannot log in with password {password}, tell us why"
    keys = (
        f"<DeviceInfo><InstallCode>{INSTALL_CODE}</InstallCode><LinkKey>{LINK_KEY}</LinkKey>"
        "<What/></Nothing>"
    )
    rules = [
        {"fault": "error_text", "homes": [telling], "text": error},
        {"fault": "error_text", "homes": [strange], "text": keys},
    ]
    return json.dumps({"rules": rules}).encode()


def look_at_everything(system: System) -> None:
    """Call every page and every command that shows something."""
    for path in ("/", "/healthz", "/readyz", "/metrics", "/openapi.json"):
        system.ask(f"{system.bridge}{path}")
    listed = system.ask(f"{system.bridge}/api/users/", Authorization=f"Bearer {TOKEN}")
    assert system.homes[0]["cloud_id"].encode() in listed
    half = json.dumps(system.homes[5])
    assert "1 lines imported, 1 refused" in system(
        "users", "import", "-", stdin=f"{half}\n{half[:-1]}\n"
    )
    for words in (("status",), ("users", "list"), ("users", "export"), ("doctor",), ("check",)):
        system(*words)
    system("users", "show", system.homes[0]["cloud_id"])
    system("read", system.homes[5]["cloud_id"])
    for what in ("active", "conf", "report", "stats", "registered"):
        system.celery("inspect", what)
    system.celery("report")
    wait_until(lambda: b'"fetch"' in system.ask_flower("/api/tasks?limit=100"))
    wait_until(lambda: b"fetch-1@" in system.ask_flower("/api/workers?refresh=true"))
    fetcher = re.search(rb"fetch-1@[\w.-]+", system.outputs[-1][1])
    assert fetcher
    for path in ("/workers", "/tasks", "/broker", "/metrics", f"/worker/{fetcher[0].decode()}"):
        system.ask_flower(path)


def readable_by_others(data: Path) -> Iterator[str]:
    for path in data.rglob("*"):
        if (
            path.name in HOLD_SECRETS
            and path.is_file()
            and stat.S_IMODE(path.stat().st_mode) & 0o077
        ):
            yield str(path)


def assert_lines_can_be_found(data: Path) -> None:
    """Every task logs one line with the id of its message, so that an operator can follow it."""
    logged = [
        json.loads(line) for path in (data / "run" / "log").glob("*.log") for line in lines_of(path)
    ]
    by_event: dict[str, list[dict[str, Any]]] = {}
    for line in logged:
        by_event.setdefault(line["event"], []).append(line)
    sent = {message for line in by_event["dispatch"] for message in line["messages"]}
    fetched = [line["message_id"] for line in by_event["fetch"]]
    assert len(fetched) == len(set(fetched))
    assert len(sent & set(fetched)) > len(fetched) / 2
    assert all(line["cloud_ids"] and "seconds" in line for line in by_event["fetch"])
    archived = by_event["rotate_shard"]
    assert {message for line in by_event["rotate"] for message in line["messages"]} >= {
        line["message_id"] for line in archived
    }
    assert all("users" not in line or line["cloud_ids"] for line in archived)


def lines_of(path: Path) -> Iterator[str]:
    return (line for line in path.read_text().splitlines() if line.startswith("{"))
