"""Every program, as it ships, reaches a real Redis on every way: a port, a Unix socket, TLS; with a
user, a password and a database. None of them talks over TLS to a server that cannot prove who it
is."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pytest
import redis
from cryptography.fernet import Fernet
from kombu.exceptions import OperationalError

from eagle_logger import settings, wiring
from eagle_logger.broker_queues import ADHOC, Broker
from eagle_logger.errors import RedisUnavailable
from eagle_logger.inspection import redis_checks
from eagle_logger.inspection.outside_checks import clocks_agree
from eagle_logger.settings import Settings
from tests.support.certificates import Authority
from tests.support.polling import until
from tests.support.programs import BEAT, WORKER, Programs
from tests.support.redis_server import RedisServer
from tests.support.tcp_proxy import TcpProxy
from workers.bridge.publisher import make_publisher
from workers.up.ports import free_port

USER, PASSWORD = "eagle", "sword/fish:%?#@ 1"
LOGIN = f"{USER}:{quote(PASSWORD, safe='')}"
BROKER_DATABASE = 1


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    directory = tmp_path_factory.mktemp("r")
    with RedisServer(directory, "--unixsocket", str(directory / "s")) as running:
        with redis.Redis.from_url(running.url) as client:
            client.acl_setuser(
                USER,
                enabled=True,
                passwords=[f"+{PASSWORD}"],
                keys=["*"],
                channels=["*"],
                categories=["+@all"],
            )
        yield running


@pytest.fixture
def front(server: RedisServer) -> Iterator[TcpProxy]:
    with TcpProxy(
        server.port, tls=Authority("ours").issue("127.0.0.1").server_context()
    ) as running:
        yield running


@pytest.fixture(params=["socket", "tls"])
def environment(
    request: pytest.FixtureRequest, server: RedisServer, front: TcpProxy, tmp_path: Path
) -> dict[str, str]:
    addresses = {
        "socket": f"unix://{LOGIN}@{server.directory / 's'}?db=3",
        "tls": f"rediss://{LOGIN}@127.0.0.1:{front.port}/3",
    }
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
    bundle = Authority("ours").write(tmp_path / "ca.pem")
    return _environment(tmp_path, addresses[request.param], bundle)


@pytest.fixture
def deceived(front: TcpProxy, tmp_path: Path) -> dict[str, str]:
    """An environment that trusts another authority than the server's."""
    other = Authority("another").write(tmp_path / "other.pem")
    return _environment(tmp_path, f"rediss://{LOGIN}@127.0.0.1:{front.port}/3", other)


async def test_every_program_works_over_a_socket_and_over_tls(
    environment: dict[str, str],
    server: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = _settings(environment, monkeypatch)
    store = wiring.user_store(there, passwords=False)
    await store.fleet.now()
    assert redis_checks.redis_answers(there).is_ok
    assert redis_checks.broker_answers(there).is_ok
    assert redis_checks.redis_keeps_everything(there).found.startswith("maxmemory-policy")
    assert clocks_agree(there).found != "neither Redis nor the relay gives the time"
    make_publisher(there)(["00ce69"])
    with closing(Broker(there.broker_address)) as broker:
        assert broker.waiting([ADHOC]) == {ADHOC: 1}
    assert _length(server, ADHOC) == 1
    with Programs(tmp_path, environment) as programs:
        port = free_port()
        programs.celery(
            "flower", "flower", f"--port={port}", "--address=127.0.0.1", FLOWER_BASIC_AUTH="a:b"
        )
        await until(lambda: _flowers_lengths(port).get(ADHOC) == 1)
        programs.celery("worker", *WORKER)
        programs.celery("beat", *BEAT)
        await until(lambda: _dispatched(server))
        await until(lambda: _length(server, ADHOC) == 0)
        programs.celery("inspect", "inspect", "ping", "--timeout=10")
        assert programs.exit_status("inspect") == 0, programs.output("inspect")
    await store.close()


async def test_no_program_sends_anything_to_a_server_of_an_unknown_authority(
    deceived: dict[str, str], front: TcpProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = _settings(deceived, monkeypatch)
    store = wiring.user_store(there, passwords=False)
    with pytest.raises(RedisUnavailable, match="certificate verify failed"):
        await store.fleet.now()
    assert "certificate verify failed" in redis_checks.redis_answers(there).found
    assert "certificate verify failed" in redis_checks.broker_answers(there).found
    with pytest.raises(OperationalError, match="certificate verify failed"):
        make_publisher(there)(["00ce69"])
    with (
        closing(Broker(there.broker_address)) as broker,
        pytest.raises(RedisUnavailable, match="certificate verify failed"),
    ):
        broker.waiting([ADHOC])
    with Programs(tmp_path, deceived) as programs:
        port = free_port()
        programs.celery(
            "flower", "flower", f"--port={port}", "--address=127.0.0.1", FLOWER_BASIC_AUTH="a:b"
        )
        programs.celery("worker", *WORKER)
        programs.celery("beat", *BEAT)
        programs.celery("inspect", "inspect", "ping", "--timeout=5")
        for name in ("worker", "beat", "inspect", "flower"):
            await until(partial(_says_that_it_refuses, programs, name))
        assert _flowers_lengths(port) == {}
    assert (front.connections, front.received) == (0, b"")
    await store.close()


def _environment(directory: Path, url: str, bundle: Path) -> dict[str, str]:
    return {
        "EAGLE_REDIS_URL": url,
        "EAGLE_REDIS_CA": str(bundle),
        "EAGLE_DATA_DIR": str(directory),
        "EAGLE_SECRET_KEYS": Fernet.generate_key().decode(),
        "EAGLE_RELAY_URL": "http://127.0.0.1:1",
        "EAGLE_LOG_FORMAT": "json",
    }


def _settings(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return settings.load()


def _flowers_lengths(port: int) -> dict[str, int]:
    """Messages by queue, as Flower's page of queues has them; empty while Flower cannot count."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/queues/length")
    request.add_header("Authorization", f"Basic {base64.b64encode(b'a:b').decode()}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return {
                queue["name"]: queue["messages"] for queue in json.load(answer)["active_queues"]
            }
    except OSError:
        return {}


def _says_that_it_refuses(programs: Programs, name: str) -> bool:
    return "certificate verify failed" in programs.output(name)


def _length(server: RedisServer, queue: str) -> int:
    with redis.Redis(port=server.port, db=BROKER_DATABASE) as client:
        return int(client.llen(queue))


def _dispatched(server: RedisServer) -> bool:
    with redis.Redis(port=server.port, db=3) as client:
        return bool(client.hexists("eagle:progress", "dispatch"))
