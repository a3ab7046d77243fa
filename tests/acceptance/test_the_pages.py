"""Follows the how-to pages to the letter on a running system. The test types the commands as they
stand in the pages, and compares what is printed with what they show, except ids, times and numbers.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import redis

from eagle_logger.core.hours import Hour
from eagle_logger.core.kinds import Kind
from eagle_logger.core.line_format import encode_line, parse_line
from eagle_logger.core.paths import log_file
from eagle_logger.core.readings import Reading
from eagle_logger.settings import load
from tests.acceptance.running import HEADER, processes
from tests.acceptance.terminal import Terminal
from tests.support.certificates import Authority
from tests.support.log_lines import demand
from tests.support.pages import Page, differences
from tests.support.polling import PATIENCE_S, wait_until
from tests.support.redis_server import RedisServer
from tests.support.tcp_proxy import TcpProxy

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
    pytest.mark.timeout(600),
]

HOMES = ("01fba2", "63c429", "a0331b")
"""The first simulated homes, which the pages name."""
TOKEN = "made-up-token-of-the-bridge"
QUIET = (0, 69)
"""Exit codes of `celery`: 69 if no worker answered within a second, as on a busy machine."""
HOST = socket.gethostname()
IN_CONTAINER = re.compile(r"docker compose exec (?:-T )?\w+ ")


class Reader:
    """Types a page's commands, with the names of this machine in place of the page's."""

    def __init__(self, terminal: Terminal, folder: Path) -> None:
        self.terminal, self.folder = terminal, folder
        self.names: dict[str, str] = {}
        """Name in a page → name on this machine."""

    def translated(self, command: str) -> str:
        command = IN_CONTAINER.sub("", command)
        command = re.sub(r"\bfetch@\w+", f"fetch-1@{HOST}", command).replace("@eagle", f"@{HOST}")
        for in_page, on_this_machine in self.names.items():
            command = command.replace(in_page, on_this_machine)
        return command

    def type(
        self, page: Page, begins: str, *, codes: tuple[int, ...] = (0,), wrapped: str = "{}"
    ) -> str:
        """Type the page's next command; returns what is printed. If the page shows an output, this
        must look like it."""
        printed = self._typed(page.next(begins), codes, wrapped)
        assert not page.output or differences(page.output, printed) == [], printed
        return printed

    def type_until(
        self, page: Page, begins: str, *, codes: tuple[int, ...] = (0,), wrapped: str = "{}"
    ) -> str:
        """Type the page's next command until its output looks like what the page shows, if any."""
        command, end = page.next(begins), time.monotonic() + PATIENCE_S
        while True:
            printed = self._typed(command, codes, wrapped)
            wrong = differences(page.output, printed) if page.output else []
            if not wrong:
                return printed
            assert time.monotonic() < end, f"{command}: {wrong}\n{printed}"

    def answer(self, page: Page, begins: str, password: str) -> None:
        seen = self.terminal.answer(self.translated(page.next(begins)), "Password", password)
        assert not page.output or differences(page.output, seen) == [], seen

    def _typed(self, command: str, codes: tuple[int, ...], wrapped: str) -> str:
        return self.terminal.enter(
            f"{{ {wrapped.format(self.translated(command))}\n}} 2>&1", codes=codes
        )


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """`up` with three homes, whose data directory is `data`, and a second terminal."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / ".venv").symlink_to(sys.prefix)
    settings = {"EAGLE_FETCH_WORKERS": "1", "EAGLE_API_TOKEN": TOKEN, "EAGLE_DEMAND_INTERVAL": "3"}
    with Terminal(folder, **settings) as terminal:
        terminal.export("export EAGLE_DATA_DIR=data PATH=$PWD/.venv/bin:$PATH")
        running = terminal.start("eagle-logger up --homes 3")
        running.await_line(re.escape(HEADER))
        reader = Reader(terminal, folder)
        services = json.loads((folder / "data/services.json").read_text())
        reader.names["http://127.0.0.1:8888"] = f"http://127.0.0.1:{services['bridge_port']}"
        reader.names["simulator"] = services["relay_url"].removesuffix("/cgi-bin/post_manager")
        wait_until(lambda: all(int(shown(reader, home)["readings"]) for home in HOMES))
        yield reader
        running.control_c()
    for pid in processes(folder / "data"):
        os.kill(pid, signal.SIGKILL)


def shown(reader: Reader, cloud_id: str) -> dict[str, str]:
    printed = reader.terminal.enter(f"eagle-logger users show {cloud_id}")
    return dict(line.split("\t", 1) for line in printed.splitlines())


def credentials(reader: Reader) -> dict[str, dict[str, str]]:
    """Cloud id → the simulated home's line in the users file."""
    lines = (reader.folder / "data/simulator/users.jsonl").read_text().splitlines()
    return {home["cloud_id"]: home for home in map(json.loads, lines)}


def faults(reader: Reader, *rules: dict[str, object]) -> None:
    body = json.dumps({"rules": rules})
    reader.terminal.enter(f"curl -s -X PUT {reader.names['simulator']}/faults -d '{body}'")


def test_readme_shows_a_line_as_it_is_written() -> None:
    with Page("README.md", "json") as page:
        text = page.next().encode()
    line = parse_line(text.rstrip(b"\n"))
    number, data = Decimal("0.944"), line.data
    reading = Reading(
        data["device"],
        data["meter"],
        Kind.DEMAND,
        line.time,
        {"value": number, "unit": "kW"},
        data["raw"],
    )
    assert encode_line("00ce69", reading, line.arrived) == text


def test_the_page_add_users(system: Reader) -> None:
    known = credentials(system)
    add_one = "eagle-logger users add 01fba2 --email home-01fba2@homes.example"
    right = known["01fba2"]["user_pw"]
    for home in HOMES:
        system.terminal.enter(f"eagle-logger users remove {home}")
    with (
        Page("docs/how-to/add-users.md", "console") as page,
        Page("docs/how-to/add-users.md", "json") as files,
    ):
        system.answer(page, "eagle-logger users add 01fba2", right)
        lines = [json.loads(line) for line in files.next().splitlines()]
        assert {line["user_pw"] for line in lines} == {"…"}
        filled = [
            json.dumps({**line, "user_pw": known[line["cloud_id"]]["user_pw"]}) for line in lines
        ]
        (system.folder / "homes.jsonl").write_text("\n".join(filled))
        system.type(page, "eagle-logger users import homes.jsonl")
        system.type_until(page, "eagle-logger users show 01fba2")

        system.terminal.enter("eagle-logger users remove 01fba2")
        system.terminal.enter(add_one, keys="a wrong one\n")
        system.type_until(page, "eagle-logger users show 01fba2")
        system.terminal.enter(add_one, keys=f"{right}\n")
        assert shown(system, "01fba2")["turn"].startswith(("due", "waiting for a worker"))

        (system.folder / "token.header").write_text(f"Authorization: Bearer {TOKEN}")
        portal = {member: known["63c429"][member] for member in ("user_email", "user_pw")}
        (system.folder / "user.json").write_text(json.dumps(portal))
        system.type_until(page, "curl http://127.0.0.1:8888/api/users/63c429", wrapped="{} -s")
        system.type(page, "eagle-logger users remove 01fba2")
    assert "63c429" in system.terminal.enter("eagle-logger users list")
    system.terminal.enter(add_one, keys=f"{right}\n")


def test_the_page_celery_command_line(system: Reader) -> None:
    with Page("docs/how-to/celery-command-line.md", "console") as page:
        celery = "celery -A workers.app"
        system.type_until(page, f"{celery} status", codes=QUIET)
        system.type_until(page, f"{celery} inspect ping", codes=QUIET)
        faults(system, {"fault": "latency", "seconds": 3})
        system.type_until(page, f"{celery} inspect active", codes=QUIET)
        faults(system)
        system.type_until(page, f"{celery} inspect reserved", codes=QUIET)
        system.type_until(page, f"{celery} inspect registered", codes=QUIET)
        system.type_until(page, f"{celery} inspect stats", codes=QUIET)
        # This command runs until Ctrl-C.
        system.type_until(
            page, f"{celery} events --dump", codes=(0, 124, 130), wrapped="timeout -s INT 8 {}"
        )
        system.type_until(page, "eagle-logger status | grep")
        # Messages stay in the queue while no worker takes from it.
        control = f"{celery} control -d fetch-1@{HOST}"
        system.terminal.enter_until(f"{control} cancel_consumer fetch.0", "OK")
        wait_until(lambda: "fetch.0 0" not in system.terminal.enter("eagle-logger status"))
        system.type(page, f"{celery} purge -f -Q fetch.0")
        system.terminal.enter_until(f"{control} add_consumer fetch.0", "OK")
        system.type_until(page, f"{celery} control cancel_consumer fetch.0", codes=QUIET)
        system.type_until(page, f"{celery} inspect active", codes=QUIET)
        system.type_until(page, f"{celery} control add_consumer fetch.0", codes=QUIET)


def test_the_page_rotate_keys(system: Reader) -> None:
    with Page("docs/how-to/rotate-keys.md", "console") as page:
        system.type(page, "(umask 077; eagle-logger keys generate")
        # The page lets the reader wait two seconds while a process does not know the new key yet.
        system.type_until(page, "eagle-logger keys rotate", codes=(0, 2))
        before = (system.folder / "data/secret.keys").read_text().splitlines()
        system.type(page, "sed -i 2d data/secret.keys")
        assert (system.folder / "data/secret.keys").read_text().splitlines() == before[:1]
        system.type(page, "eagle-logger keys rotate")
        system.type(page, "(umask 077; python3 -c")


def test_the_page_wake_users(system: Reader) -> None:
    # An earlier page added these homes anew. Until the relay has accepted their credentials once, a
    # refusal parks them.
    refused = ["01fba2", "63c429"]
    for home in refused:
        before = int(shown(system, home)["readings"])
        wait_until(lambda: int(shown(system, home)["readings"]) > before)  # noqa: B023  (called at once)
    with Page("docs/how-to/wake-users.md", "console") as page:
        answer = "Wrong User or Password"
        faults(system, {"fault": "status", "status": 401, "text": answer, "homes": refused})
        try:
            for home in refused:
                wait_until(lambda: int(shown(system, home)["failures in a row"]) >= 3)  # noqa: B023  (called at once)
            system.type_until(page, "eagle-logger status")
            system.type_until(page, "eagle-logger users show 01fba2")
            # While they are refused. Otherwise the next try may wake them first.
            system.type(page, "eagle-logger users wake 01fba2 63c429")
        finally:
            faults(system)
        system.type(page, "eagle-logger users wake --all")
    wait_until(lambda: shown(system, "01fba2")["failures in a row"] == "0")


def test_the_page_drain_a_node(system: Reader) -> None:
    lost_disk = system.folder / "found"
    with (
        Page("docs/how-to/drain-a-node.md", "sh") as page,
        Page("docs/how-to/drain-a-node.md", "text") as screen,
    ):
        command = f"{{ {page.next('eagle-logger drain')}\n}} 2>&1"
        drained = system.terminal.enter(command)
        while "  0 log files to archive" in drained:
            # The rotator has just archived the open hour. The page shows a disk with readings.
            system.terminal.enter("eagle-logger drain --undo")
            before = int(shown(system, HOMES[0])["readings"])
            wait_until(lambda: int(shown(system, HOMES[0])["readings"]) > before)  # noqa: B023  (called at once)
            drained = system.terminal.enter(command)
        # Homes that an earlier page added anew may have shown a reading again.
        drained = re.sub(r", \d+ duplicates? dropped", "", drained)
        assert differences(screen.next().splitlines(), drained) == []
        assert "eagle-logger drain --undo" in system.terminal.enter(
            "eagle-logger doctor", codes=(0, 1)
        )
        system.type(page, "eagle-logger drain --undo")
        # The disk that was found holds an hour of another day.
        hour = Hour.of((datetime.now(UTC) - timedelta(days=3)).timestamp())
        path = lost_disk / "logs" / log_file("01fba2", hour, 16)
        path.parent.mkdir(parents=True)
        path.write_bytes(demand(7, "0.944", cloud_id="01fba2", hour=hour))
        services = json.loads((system.folder / "data/services.json").read_text())
        where = " ".join(
            f"EAGLE_{name.upper()}='{value}'"
            for name, value in services.items()
            if name != "fetch_workers"
        )
        command = page.next("EAGLE_DATA_DIR=/mnt/found celery").replace(
            "/mnt/found", str(lost_disk)
        )
        finder = system.terminal.start(f"env {where} {command}")
        system.terminal.enter_until("celery -A workers.app status", "finder@")
        wait_until(lambda: any(path.parent.glob("*.receipt.json")))
        finder.kill()
    # No worker rotates that disk any more. The system forgets it by itself after a day; this test
    # cannot wait so long.
    with redis.Redis.from_url(services["redis_url"]) as server:
        assert server.zrem("eagle:nodes", (lost_disk / "logs" / "node-id").read_text().strip())


def test_the_pages_about_stores_alerts_failures_pings_and_upgrades(system: Reader) -> None:
    with Page("docs/how-to/choose-a-store.md", "console") as page:
        system.type_until(page, "eagle-logger doctor", codes=(0, 1))
    with Page("docs/how-to/change-the-bucket.md", "console") as page:
        system.type_until(page, "docker compose exec rotator eagle-logger doctor", codes=(0, 1))
        system.type_until(page, "docker compose exec rotator eagle-logger check")
        system.type_until(page, "docker compose exec rotator eagle-logger check")
    with Page("docs/how-to/read-an-alert.md", "sh") as page:
        system.type_until(page, "docker compose exec worker eagle-logger doctor", codes=(0, 1))
        system.type(page, "docker compose exec worker eagle-logger status")
    with Page("docs/how-to/something-is-wrong.md", "console") as page:
        system.type_until(page, "eagle-logger doctor", codes=(0, 1))
        for options in ("", " --failing", " --stale 1h", " --sort failures --limit 100"):
            assert "# users: 3" in system.type(page, f"eagle-logger status{options}")
    with Page("docs/how-to/sns-and-sqs.md", "sh") as page:
        system.terminal.export(page.next("export EAGLE_SNS_TOPIC_ARNS="))
        system.terminal.export(page.next("export EAGLE_TRUSTED_PROXIES="))
        system.names["002738"] = "01fba2"
        assert "published 01fba2" in system.type(page, "eagle-logger ping 002738")
        assert "01fba2" in system.type(page, "eagle-logger ping --direct 002738")
    with Page("docs/how-to/upgrade.md", "console") as page:
        system.type_until(page, "curl -s http://127.0.0.1:8888/metrics")


def test_the_page_redis_backup(system: Reader) -> None:
    with Page("docs/how-to/redis-backup.md", "console") as page:
        system.type(page, "eagle-logger users export backup.jsonl")
        system.terminal.enter("eagle-logger users remove 01fba2 63c429")
        system.type(page, "eagle-logger users import backup.jsonl")
        system.type_until(page, "eagle-logger status | tail")
        assert "nothing wrong" in system.type_until(page, "eagle-logger check")
    assert shown(system, "01fba2")["user_email"] == "home-01fba2@homes.example"


# At rest ------------------------------------------------------------------------------------------


@pytest.fixture
def at_rest(tmp_path: Path, redis_url: str) -> Iterator[Reader]:
    """A terminal in a folder where nothing runs but a Redis."""
    (tmp_path / ".venv").symlink_to(sys.prefix)
    with Terminal(
        tmp_path, EAGLE_REDIS_URL=redis_url, EAGLE_RELAY_URL="http://127.0.0.1:1/"
    ) as terminal:
        terminal.export("export EAGLE_DATA_DIR=data PATH=$PWD/.venv/bin:$PATH")
        yield Reader(terminal, tmp_path)


def test_the_page_restore_an_hour(at_rest: Reader) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    at_rest.names = {
        "2026-11-24": f"{yesterday:%Y-%m-%d}",
        "2026-11-22": f"{yesterday - timedelta(days=2):%Y-%m-%d}",
    }
    hour = Hour.parse(f"{yesterday:%Y-%m-%d}-06")

    def lines(cloud_id: str) -> bytes:
        return b"".join(
            demand(8 * turn, "0.944", cloud_id=cloud_id, hour=hour) for turn in range(5)
        )

    for home in ("01fba2", "1910ff"):
        path = at_rest.folder / "data/logs" / log_file(home, hour, 16)
        path.parent.mkdir(parents=True)
        path.write_bytes(lines(home))
    at_rest.terminal.enter("eagle-logger rotate")
    objects = {
        home: next(at_rest.folder.glob(f"data/archive/cloud_id={home}/*/*.gz"))
        for home in ("01fba2", "1910ff")
    }
    (at_rest.folder / "copy.jsonl.gz").write_bytes(
        gzip.compress(lines("1910ff").splitlines(keepends=True)[0])
    )
    with Page("docs/how-to/restore-an-hour.md", "console") as page:
        objects["01fba2"].unlink()
        at_rest.type(page, "eagle-logger check", codes=(1,))
        at_rest.type(page, "rm data/logs/")
        at_rest.type(page, "eagle-logger rotate")
        at_rest.type(page, "eagle-logger check")
        objects["1910ff"].chmod(0o600)
        objects["1910ff"].write_bytes(b"damaged")
        at_rest.type(page, "rm data/logs/")
        at_rest.type(page, "eagle-logger rotate")
        at_rest.type(page, "eagle-logger check", codes=(1,))
        at_rest.type(page, "mkdir -p data/logs/")
        at_rest.type(page, "gunzip < copy.jsonl.gz")
        at_rest.type(page, "eagle-logger rotate")
        assert len(at_rest.type(page, "eagle-logger read 01fba2").splitlines()) >= 5


def test_the_page_install(at_rest: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    with Page("docs/how-to/install.md", "sh") as page:
        settings = dict(page.next("EAGLE_").split("=", 1) for _ in range(3))
        for variable, value in settings.items():
            monkeypatch.setenv(variable, value)
        assert load().archive_url == settings["EAGLE_ARCHIVE_URL"]
    with Page("docs/how-to/install.md", "console") as page:
        mistakes = {"EAGLE_ARCHIV_URL": "s3://bucket", "EAGLE_SHARDS": "many", "EAGLE_LEASE": "3"}
        at_rest.terminal.export(
            "export " + " ".join(f"{variable}={value}" for variable, value in mistakes.items())
        )
        at_rest.type(page, "eagle-logger up", codes=(2,))


def test_the_page_use_your_own_redis(at_rest: Reader, redis_server: RedisServer) -> None:
    authority = Authority("ours")
    with (
        Page("docs/how-to/use-your-own-redis.md", "sh") as page,
        TcpProxy(redis_server.port, tls=authority.issue("127.0.0.1").server_context()) as front,
    ):
        at_rest.names = {
            "eagle:secret@redis.example.net": f"127.0.0.1:{front.port}",
            "/etc/eagle-logger/redis-ca.pem": str(authority.write(at_rest.folder / "ca.pem")),
        }
        at_rest.terminal.export(at_rest.translated(page.next("export EAGLE_REDIS_URL=rediss://")))
        at_rest.terminal.export(at_rest.translated(page.next("export EAGLE_REDIS_CA=")))
        # `doctor` fails, because only this Redis is there.
        printed = at_rest.type(page, "eagle-logger doctor", codes=(2,))
        assert re.search(r"^ok\tredis\trediss://", printed, re.MULTILINE), printed
        assert "append-only file off" in printed


def test_the_page_scale(at_rest: Reader, redis_url: str) -> None:
    """All programs of the page's fleet run on this machine, and each answers."""
    at_rest.names = {
        "EAGLE_REDIS_URL=rediss://…": f"EAGLE_REDIS_URL={redis_url}",
        "EAGLE_BROKER_URL=rediss://…": f"EAGLE_BROKER_URL={redis_url[:-1]}1",
        "s3://bucket/prefix": "file:///" + str(at_rest.folder / "archive").lstrip("/"),
        "/run/secrets/keys": str(at_rest.folder / "keys"),
    }
    at_rest.terminal.enter("eagle-logger keys generate > keys; chmod 600 keys")
    with Page("docs/how-to/scale.md", "sh") as page:
        at_rest.type(page, "eagle-logger shards set 64")
        for _ in range(3):
            at_rest.terminal.export(at_rest.translated(page.next("export EAGLE_")))
        fetching = at_rest.terminal.start(page.next("celery -A workers.app worker -n fetch-1@%h"))
        rotating = at_rest.terminal.start(page.next("celery -A workers.app worker -n rotator@%h"))
        beat = at_rest.terminal.start(page.next("celery -A workers.app beat"))
        dispatching = at_rest.terminal.start(
            page.next("celery -A workers.app worker -n dispatcher@%h")
        )
        page.next("celery -A workers.app worker -n rotator@%h")  # it runs already
        rolling_up = at_rest.terminal.start(page.next("celery -A workers.app worker -n tables@%h"))
        bridge = at_rest.terminal.start(page.next("python -m workers.server"))
        workers = {f"{name}@{HOST}" for name in ("fetch-1", "rotator", "dispatcher", "tables")}

        def all_answer() -> bool:
            printed = at_rest.terminal.enter("celery -A workers.app status", codes=QUIET)
            return workers <= set(re.findall(r"->  (\S+):", printed))

        wait_until(all_answer)
        wait_until(lambda: "beat" in at_rest.terminal.enter("eagle-logger status"))
        assert bridge.await_line("bridge")
        for program in (bridge, beat, dispatching, rotating, rolling_up, fetching):
            program.kill()


def test_the_page_simulated_relay(at_rest: Reader) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        at_rest.names = {"8181": str(probe.getsockname()[1])}
    with Page("docs/reference/simulated-relay.md", "sh") as page:
        running = at_rest.terminal.start(at_rest.translated(page.next("eagle-logger simulate")))
        running.await_line("http")
        at_rest.type(page, "curl -X PUT", wrapped="{} -sS --fail")
    assert len((at_rest.folder / "users.jsonl").read_text().splitlines()) == 25
