"""The contenders that our system is compared to, each as its own processes."""

from __future__ import annotations

import sys
import time

import redis

from benchmarks.figures import Row
from benchmarks.measuring import measure
from benchmarks.stage import Redis, Relay, Stage, start_redis
from benchmarks.tutorial import WAITING

WARM_UP = 3.0
"""Seconds in which connections are opened and code is loaded."""


def bare(stage: Stage, relay: Relay, client: str, *, in_flight: int, seconds: float) -> Row:
    """One process that makes requests all the time; `client` as in `benchmarks.bare`."""
    name = f"bare {client}" if client != "sequential" else "one after the other"
    with stage.processes(f"bare-{client}") as processes:
        command = [sys.executable, "-m", "benchmarks.bare", client]
        command += [relay.post_url, str(relay.users_file), str(in_flight)]
        processes.start(client, command, {"SSL_CERT_FILE": str(relay.ca)} if relay.ca else {})
        begun = relay.answered()
        processes.wait_until(f"the first replies to {name}", lambda: relay.answered() > begun)
        time.sleep(WARM_UP)
        return measure(name, processes, processes.ids(), relay, seconds=seconds)


def tutorial(stage: Stage, relay: Relay, *, children: int, seconds: float) -> Row:
    """A Celery worker with a prefork pool, and the producer that keeps it busy."""
    name = f"tutorial, prefork {children}"
    with stage.processes(f"tutorial-{children}") as processes:
        broker = start_redis(processes)
        logs = processes.directory / "logs"
        logs.mkdir()
        settings = {
            "BENCH_BROKER_URL": broker.url(),
            "BENCH_RELAY_URL": relay.post_url,
            "BENCH_USERS_FILE": str(relay.users_file),
            "BENCH_LOGS": str(logs),
        }
        begun = relay.answered()
        worker = [sys.executable, "-m", "celery", "-A", "benchmarks.tutorial", "worker"]
        worker += ["-P", "prefork", "-c", str(children), "--loglevel", "WARNING"]
        processes.start("worker", worker, settings)
        processes.start("producer", [sys.executable, "-m", "benchmarks.tutorial"], settings)
        processes.wait_until(
            f"the first replies to {name}", lambda: relay.answered() > begun + 2 * children
        )
        processes.wait_until(
            "a queue that keeps every child busy", lambda: waiting(broker) >= WAITING
        )
        time.sleep(WARM_UP)
        contenders = processes.ids("worker", "producer")
        return measure(name, processes, contenders, relay, seconds=seconds, redis_server=broker)


def waiting(broker: Redis) -> int:
    """Messages in the tutorial worker's queue."""
    with redis.Redis(port=broker.port) as client:
        return int(client.llen("celery"))
