"""A worker as Celery's tutorial leads to it: prefork, a message per user, httpx.Client, append to a
file.

It is faster than most such workers: each child keeps one client, and there is no result backend and
no log line per fetch. The app is `benchmarks.tutorial`. The producer, in the place of beat, runs as
`python -m benchmarks.tutorial`.
"""

from __future__ import annotations

import json
import os
import time
from functools import cache
from pathlib import Path

import httpx
import redis
from celery import Celery

from benchmarks.bare import BODY, DEADLINE, headers

WAITING = 500
"""Messages the producer keeps waiting, so that no child is ever idle."""

app = Celery("tutorial", broker=os.environ.get("BENCH_BROKER_URL", "memory://"))
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)


@cache
def _client() -> httpx.Client:
    return httpx.Client(timeout=DEADLINE, trust_env=False)


@cache
def _accounts() -> dict[str, dict[str, str]]:
    with Path(os.environ["BENCH_USERS_FILE"]).open() as lines:
        return {account["cloud_id"]: account for account in map(json.loads, lines)}


@app.task(name="tutorial.fetch")  # type: ignore[untyped-decorator]  # Celery's decorators have no types
def fetch(cloud_id: str) -> None:
    reply = _client().post(
        os.environ["BENCH_RELAY_URL"], headers=headers(_accounts()[cloud_id]), content=BODY
    )
    with (Path(os.environ["BENCH_LOGS"]) / f"{cloud_id}.log").open("a") as log:
        log.write(json.dumps({"at": time.time(), "reply": reply.text}) + "\n")


def produce() -> None:
    """Send messages for ever, so that every child is busy."""
    broker = redis.Redis.from_url(os.environ["BENCH_BROKER_URL"])
    while True:
        for cloud_id in _accounts():
            while broker.llen("celery") >= WAITING:
                time.sleep(0.05)
            fetch.delay(cloud_id)


if __name__ == "__main__":
    produce()
