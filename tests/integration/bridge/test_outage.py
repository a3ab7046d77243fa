"""Redis goes away while messages come in, and comes back: no message is lost, and no user is
enqueued twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import redis

from eagle_logger import wiring
from eagle_logger.settings import load
from eagle_logger.users.cipher import new_key
from tests.integration.bridge.conftest import new_user
from tests.support.fake_sns import TOPIC, FakeSns
from tests.support.polling import until
from tests.support.redis_server import RedisServer
from workers.server.lifecycle import running_bridge

MESSAGES = 200


async def test_messages_that_come_while_redis_is_away_become_fetches_afterwards(
    tmp_path: Path, sns: FakeSns
) -> None:
    (tmp_path / "redis").mkdir()
    with RedisServer(tmp_path / "redis", "--appendonly", "yes") as server:
        settings = load(
            tmp_path,
            redis_url=server.url,
            sns_topic_arns=(TOPIC,),
            secret_keys=new_key(),
            bridge_port=0,
        )
        cloud_ids = [f"{number:06x}" for number in range(MESSAGES)]
        store = wiring.user_store(settings, passwords=True)
        await store.users.put([new_user(cloud_id) for cloud_id in cloud_ids])
        enqueued: Counter[str] = Counter()

        def enqueue(leased: Sequence[str]) -> None:
            with redis.Redis.from_url(settings.broker) as broker:
                try:
                    broker.ping()
                except redis.RedisError as exc:
                    raise OSError(str(exc)) from exc
            enqueued.update(leased)

        async with running_bridge(
            settings, enqueue, fetch_certificate=sns.fetch_certificate
        ) as url:
            server.stop()
            statuses: list[list[int]] = [[] for _ in cloud_ids]
            deliveries = [
                asyncio.create_task(
                    sns.deliver(
                        f"{url}/sns", sns.notification(cloud_id), pause=0.1, statuses=answers
                    )
                )
                for cloud_id, answers in zip(cloud_ids, statuses, strict=True)
            ]
            await until(lambda: all(statuses))
            server.start()
            await asyncio.gather(*deliveries)
        assert all(answers[-1] == 200 for answers in statuses)
        assert {status for answers in statuses for status in answers[:-1]} <= {503, 429}
        assert enqueued == dict.fromkeys(cloud_ids, 1)
        assert (await store.fleet.totals()).leased == MESSAGES
        await store.close()
