"""The whole system, used and abused in every way that involves a secret; then everything it has
written is searched."""

from __future__ import annotations

import base64
import json
import re
import stat
import subprocess
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
from tests.acceptance.running import EAGLE_LOGGER, Up, environment, until
from tests.support.leaks import Place, command_lines, files, redis_content, shown

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
    pytest.mark.timeout(300),
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
"""Below the data directory, for their owner only."""
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
        self.said: list[Place] = []

    def __call__(self, *words: str, given: str = "", **other: str) -> str:
        """Run `eagle-logger …`; what it says is kept for the search."""
        command, settings = [*EAGLE_LOGGER, *words], environment(self.data, **other)
        done = subprocess.run(
            command,
            env=settings,
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        self.said.append(
            (f"what `eagle-logger {words[0]}` says", (done.stdout + done.stderr).encode())
        )
        return done.stdout

    def celery(self, *words: str) -> None:
        command = [sys.executable, "-m", "celery", "-A", "workers.app", *words]
        done = subprocess.run(
            command, env=environment(self.data), capture_output=True, check=False, timeout=60
        )
        assert done.stdout
        self.said.append((f"what `celery {' '.join(words)}` says", done.stdout + done.stderr))

    def ask(
        self, url: str, *, body: bytes | None = None, method: str | None = None, **headers: str
    ) -> bytes:
        """The answer, kept for the search, whatever its status."""
        request = urllib.request.Request(url, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                told = answer.read() + str(answer.headers).encode()
        except urllib.error.HTTPError as exc:
            told = exc.read() + str(exc.headers).encode()
        self.said.append((f"{method or 'GET'} {re.sub('[?].*', '', url)}", told))
        return bytes(told)

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


class Overheard:
    """Everything that is published while it listens: Celery's events, and what `inspect` asks and
    is answered."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url)
        self._ear = self._client.pubsub()  # type: ignore[no-untyped-call]
        self._ear.psubscribe("*")
        self.places: list[Place] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._ear.close()
        self._client.close()

    def _listen(self) -> None:
        while not self._over.is_set():
            heard = self._ear.get_message(timeout=0.2)
            if heard and heard["type"] == "pmessage":
                self.places.append((f"an event on {heard['channel']!r}", heard["data"]))


def test_no_secret_shows_anywhere(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Up(data, "--homes", "6", **SETTINGS) as up:
        up.await_ready()
        system = System(data)
        secrets = secrets_of(system)
        with Overheard(system.services["redis_url"]) as overheard:
            use_and_abuse(system)
            look_at_everything(system)
            running = [*redis_content(system.services["redis_url"]), *command_lines(), *system.said]
        what_is_no_secret = {"an event": "task-succeeded", "a result in words": "1 user, 1 fetched"}
        assert {
            line.partition(" shows")[0] for line in shown(what_is_no_secret, overheard.places)
        } == set(what_is_no_secret)
        up.ask_to_stop()
        assert up.wait() == 0, up.screen
    written = [*files(data, but=HOLD_SECRETS), ("the screen", up.screen.encode())]
    looked_at = {where for where, _ in written}
    assert "run/log/fetch-1.log" in looked_at
    assert any(
        where.startswith("redis/appendonly") and where.endswith(".aof") for where in looked_at
    )
    assert any(
        where.startswith("flower.db") for where in looked_at
    )  # .dat, .db or nothing: as Python was built
    assert any(where.startswith("samples/") for where, _ in written)
    assert any(where.endswith(".gz, unpacked") for where, _ in written)
    leaks = list(shown(secrets, [*written, *running, *overheard.places]))
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
    """Each home in another way, until each has shown in the state what was done to it."""
    refused, locked, put, telling, strange, pinged = (home["cloud_id"] for home in system.homes)
    email = ("--email", "somebody@homes.example")
    system("users", "add", refused, *email, given=WRONG)
    seal_with_a_lost_key(system, locked)
    by_hand = system.homes[2]
    body = json.dumps({"user_email": by_hand["user_email"], "user_pw": by_hand["user_pw"]}).encode()
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
    until(lambda: system.has_logged("sqs message"))
    until(lambda: (system.users()[refused]["why_not"] or "").startswith("refused"))
    until(lambda: "no_key" in (system.users()[locked]["last_error"] or ""))
    until(
        lambda: all(
            any(system.data.rglob(f"samples/*/{cloud_id}.jsonl")) for cloud_id in (telling, strange)
        )
    )
    until(lambda: any(system.data.rglob("*.gz")))


def seal_with_a_lost_key(system: System, cloud_id: str) -> None:
    """As after a restore from a backup whose key is gone. The command line refuses to seal with
    such a key."""
    sealed = Cipher([new_key()]).seal(Credentials(cloud_id, "owner@homes.example", WRONG))
    with redis.Redis.from_url(system.services["redis_url"]) as server:
        server.hset(f"eagle:users:{cloud_id[:2]}", cloud_id, encode_user(User(cloud_id), sealed))


def put_faults(system: System, faults: bytes) -> None:
    """The relay's answer repeats them, secrets and all."""
    url = system.services["relay_url"].replace("/cgi-bin/post_manager", "/faults")
    with urllib.request.urlopen(
        urllib.request.Request(url, faults, method="PUT"), timeout=10
    ) as answer:
        assert answer.status == 200


def faults(system: System, telling: str, strange: str) -> bytes:
    """A relay that says in its errors who logs in and how, and one that sends what nobody may know
    of a gateway."""
    password = next(home["user_pw"] for home in system.homes if home["cloud_id"] == telling)
    told = f"cannot log in with password {password}, tell us why"
    keys = f"<DeviceInfo><InstallCode>{INSTALL_CODE}</InstallCode><LinkKey>{LINK_KEY}</LinkKey><What/></Nothing>"
    rules = [
        {"fault": "error_text", "homes": [telling], "text": told},
        {"fault": "error_text", "homes": [strange], "text": keys},
    ]
    return json.dumps({"rules": rules}).encode()


def look_at_everything(system: System) -> None:
    """All that shows something, to whoever asks."""
    for path in ("/", "/healthz", "/readyz", "/metrics", "/openapi.json"):
        system.ask(f"{system.bridge}{path}")
    listed = system.ask(f"{system.bridge}/api/users/", Authorization=f"Bearer {TOKEN}")
    assert system.homes[0]["cloud_id"].encode() in listed
    half = json.dumps(system.homes[5])
    assert "1 lines imported, 1 refused" in system(
        "users", "import", "-", given=f"{half}\n{half[:-1]}\n"
    )
    for words in (("status",), ("users", "list"), ("users", "export"), ("doctor",), ("check",)):
        system(*words)
    system("users", "show", system.homes[0]["cloud_id"])
    system("read", system.homes[5]["cloud_id"])
    for what in ("active", "conf", "report", "stats", "registered"):
        system.celery("inspect", what)
    system.celery("report")
    assert b'"fetch"' in system.ask_flower("/api/tasks?limit=100")
    workers = system.ask_flower("/api/workers?refresh=true")
    assert b"fetch-1@" in workers
    for path in ("/workers", "/tasks", "/broker", "/metrics", f"/worker/{fetching(workers)}"):
        system.ask_flower(path)


def fetching(workers: bytes) -> str:
    found = re.search(rb"fetch-1@[\w.-]+", workers)
    assert found
    return found[0].decode()


def readable_by_others(data: Path) -> Iterator[str]:
    for path in data.rglob("*"):
        if (
            path.name in HOLD_SECRETS
            and path.is_file()
            and stat.S_IMODE(path.stat().st_mode) & 0o077
        ):
            yield str(path)


def assert_lines_can_be_found(data: Path) -> None:
    """One line a message; each bears its message's id, and a message's way can be followed by it."""
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
