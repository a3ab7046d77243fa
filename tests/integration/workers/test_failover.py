"""The primary becomes a replica of another server, the address leads to that one from now on, and
every open connection stays open. A write over an old connection is refused; new connections lead to
the right server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import redis

from eagle_logger import wiring
from eagle_logger.broker_queues import ADHOC, DISPATCH, Broker
from eagle_logger.core.redis_address import RedisAddress
from eagle_logger.errors import RedisUnavailable
from eagle_logger.inspection import redis_checks
from eagle_logger.settings import Settings
from tests.support.polling import until
from tests.support.programs import BEAT, WORKER, Programs, settings_of_workers
from tests.support.redis_server import RedisServer
from tests.support.tcp_proxy import TcpProxy
from workers.bridge.publisher import make_publisher


class Pair:
    """A primary with a replica, and a proxy that leads to the primary."""

    def __init__(self, first: RedisServer, second: RedisServer, proxy: TcpProxy) -> None:
        self.primary, self.replica, self._proxy = first, second, proxy
        self.settings = Settings(redis_url=f"redis://127.0.0.1:{proxy.port}/0")

    async def replicated(self) -> None:
        with redis.Redis(port=self.primary.port) as client:
            await until(
                lambda: client.info("replication").get("slave0", {}).get("state") == "online"
            )

    def fail_over(self, *, change_address: bool = True) -> None:
        """Swap the two, as a managed service does: no connection is closed."""
        with redis.Redis(port=self.primary.port) as client:
            client.set("the-last-write", 1)
            client.wait(1, 10_000)  # until the replica has everything
        with redis.Redis(port=self.replica.port) as client:
            client.replicaof("NO", "ONE")
        with redis.Redis(port=self.primary.port) as client:
            client.replicaof("127.0.0.1", self.replica.port)
        self.primary, self.replica = self.replica, self.primary
        if change_address:
            self.lead_to_primary()

    def lead_to_primary(self) -> None:
        self._proxy.lead_to(self.primary.port)

    def command(self, *words: str, database: int = 0) -> object:
        """The answer of the primary itself."""
        with redis.Redis(port=self.primary.port, db=database) as client:
            return client.execute_command(*words)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with ExitStack() as stack:
        servers = []
        for name in ("first", "second"):
            (tmp_path / name).mkdir()
            servers.append(
                stack.enter_context(RedisServer(tmp_path / name, "--repl-diskless-sync-delay", "0"))
            )
        with redis.Redis(port=servers[1].port) as client:
            client.replicaof("127.0.0.1", servers[0].port)
        yield Pair(servers[0], servers[1], stack.enter_context(TcpProxy(servers[0].port)))


async def test_the_store_leaves_a_server_that_takes_no_writes(pair: Pair) -> None:
    store = wiring.user_store(pair.settings, passwords=False)
    await pair.replicated()
    await store.fleet.note_progress("beat", {})
    pair.fail_over()
    await store.fleet.note_progress("worker", {})
    assert pair.command("HEXISTS", "eagle:progress", "worker")
    await store.close()


async def test_a_script_that_the_old_primary_refuses_is_sent_to_the_new_one(pair: Pair) -> None:
    store = wiring.user_store(pair.settings, passwords=False)
    await pair.replicated()
    await store.schedule.request(["00ce69"], once="one")
    pair.fail_over()
    assert not (await store.schedule.request(["00ce69"], once="two")).seen_before
    assert (await store.schedule.request(["00ce69"], once="two")).seen_before
    await store.close()


async def test_the_store_reports_a_missing_primary_and_finds_the_next(pair: Pair) -> None:
    store = wiring.user_store(pair.settings, passwords=False)
    await pair.replicated()
    await store.fleet.note_progress("beat", {})
    pair.fail_over(change_address=False)
    for _ in range(2):
        with pytest.raises(RedisUnavailable, match="is not the primary"):
            await store.fleet.note_progress("worker", {})
    pair.lead_to_primary()
    await store.fleet.note_progress("worker", {})
    await store.close()


async def test_lengths_of_queues_are_read_from_the_primary(pair: Pair) -> None:
    await pair.replicated()
    with closing(Broker(pair.settings.broker_address)) as broker:
        assert broker.waiting([ADHOC]) == {ADHOC: 0}
        pair.fail_over()
        pair.command("LPUSH", ADHOC, "a message", database=1)
        assert broker.waiting([ADHOC]) == {ADHOC: 1}


async def test_a_publisher_sends_to_the_primary(pair: Pair) -> None:
    await pair.replicated()
    enqueue = make_publisher(pair.settings)
    enqueue(["00ce69"])
    pair.fail_over()
    enqueue(["0a1b2c"])
    assert pair.command("LLEN", ADHOC, database=1) == 2


async def test_beat_and_a_worker_find_the_primary(pair: Pair, tmp_path: Path) -> None:
    await pair.replicated()
    environment = settings_of_workers(pair.settings.redis_url, tmp_path)

    def flows() -> bool:
        """Whether beat sends, and the worker takes, acknowledges, and notes progress."""
        progress = ("HEXISTS", "eagle:progress", DISPATCH)
        return bool(pair.command(*progress)) and not pair.command("HLEN", "unacked", database=1)

    with Programs(tmp_path, environment) as programs:
        programs.celery("worker", *WORKER)
        programs.celery("beat", *BEAT)
        await until(flows)
        for _ in range(2):  # there, and back again
            await pair.replicated()
            pair.fail_over()
            pair.command("HDEL", "eagle:progress", DISPATCH)
            await until(flows)
        assert programs.runs("worker")
        assert programs.runs("beat")


@pytest.mark.parametrize(
    ("read_only", "kind"), [("yes", "takes no writes"), ("no", "forgets writes")]
)
async def test_doctor_recognises_a_replica(pair: Pair, read_only: str, kind: str) -> None:
    await pair.replicated()
    url = f"redis://127.0.0.1:{pair.replica.port}/0"
    with redis.Redis.from_url(url) as client:
        client.config_set("replica-read-only", read_only)
    for result in (
        redis_checks.redis_answers(Settings(redis_url=url)),
        redis_checks.broker_answers(Settings(redis_url=url)),
    ):
        assert not result.is_ok
        assert kind in result.found
        assert f"its primary is 127.0.0.1:{pair.primary.port}" in result.found
        assert "primary" in result.advice
    assert redis_checks.redis_answers(pair.settings).is_ok


def test_a_replica_that_lost_its_primary_is_left(pair: Pair) -> None:
    with redis.Redis(port=pair.replica.port) as client:
        client.config_set("replica-serve-stale-data", "no")
    pair.primary.kill()
    address = RedisAddress("127.0.0.1", pair.replica.port, database=1)
    with (
        closing(Broker(address)) as broker,
        pytest.raises(RedisUnavailable, match=r"not the primary|MASTERDOWN"),
    ):
        broker.waiting([ADHOC])
