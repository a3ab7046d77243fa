"""Measures the time from a ping for a home to its line on disk, by every way, while a fleet is
polled.

The homes that are pinged are idle: their next routine visit is a day ahead, so that every line is
the answer to a ping. A line counts once it is in the log file; its fsync follows within
milliseconds.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks import proc
from benchmarks.ours import System
from benchmarks.stage import Failed, Processes, Relay, Stage, free_port
from eagle_logger import wiring
from eagle_logger.core.kinds import Kind
from eagle_logger.core.paths import shard_name, shard_of
from eagle_logger.core.users import Credentials, User, UserState
from eagle_logger.settings import Settings
from eagle_logger.sns.fetch_request import message_for
from eagle_logger.sns.topics import Topic
from eagle_logger.users.store import StoredUser
from tests.support.bridge_process import write_certificates
from tests.support.fake_sns import TOPIC, FakeSns, body, headers
from workers.bridge import aws_clients
from workers.bridge.adhoc_requests import AdhocRequests
from workers.bridge.publisher import make_publisher
from workers.up.simulators import read_homes

FLEET = 1000
PINGS = 200
"""By each way, each for another home."""
NEW_READING_WITHIN_S = 30.0
"""After this time a meter certainly has a new reading."""
LINE_WITHIN_S = 30.0
_POLL_EVERY_S = 0.005
IDLE = {
    Kind.DEMAND: 86400.0,
    **dict.fromkeys((Kind.SUMMATION, Kind.PRICE, Kind.MESSAGE), 2 * 86400.0),
}
"""The intervals of a home that is visited only when it is asked for."""

Ask = Callable[[str], Awaitable[None]]


def ping(stage: Stage, relay: Relay, *, seconds: float, workers: int) -> list[dict[str, Any]]:
    """Measure the three ways: through SNS and SQS (played by moto), over HTTP from a fake SNS, and
    directly."""
    sns = FakeSns()
    with stage.processes("ping") as processes:
        aws_port, bridge_port = free_port(), free_port()
        system = System(
            processes,
            relay.post_url,
            workers=workers,
            EAGLE_AWS_ENDPOINT_URL=f"http://127.0.0.1:{aws_port}",
            EAGLE_AWS_ACCESS_KEY_ID="bench",
            EAGLE_AWS_SECRET_ACCESS_KEY="bench",
            EAGLE_SQS_QUEUE_URL=f"http://127.0.0.1:{aws_port}/123456789012/fetch",
            EAGLE_SNS_TOPIC_ARNS=TOPIC,
            EAGLE_BRIDGE_PORT=str(bridge_port),
        )
        _start_bridge(processes, system, sns, aws_port)
        system.start()
        people = read_homes(relay.users_file)
        accounts = [(one.user.cloud_id, one.credentials) for one in people[: FLEET + 3 * PINGS]]
        asyncio.run(seed_users(system.settings, accounts[FLEET:], IDLE))
        asyncio.run(seed_users(system.settings, accounts[:FLEET], {}))
        processes.wait_until(
            "the first visit of all homes",
            lambda: system.tally().get("fetches", 0) >= len(accounts),
        )
        time.sleep(NEW_READING_WITHIN_S)
        idle = [cloud_id for cloud_id, _ in accounts[FLEET:]]
        return asyncio.run(
            _all_ways(system, sns, f"http://127.0.0.1:{bridge_port}/sns", idle, seconds / PINGS)
        )


def _start_bridge(processes: Processes, system: System, sns: FakeSns, aws_port: int) -> None:
    processes.start(
        "aws", [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(aws_port)]
    )
    processes.wait_until(
        "the stand-in for AWS", lambda: "Running on" in processes.log("aws").read_text()
    )
    topic, queue = Topic.parse(TOPIC), str(system.settings.sqs_queue_url)
    aws_clients.sqs(system.settings, queue).create_queue(QueueName="fetch")
    client = aws_clients.sns(system.settings, topic)
    client.create_topic(Name="fetch")
    client.subscribe(
        TopicArn=TOPIC, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:123456789012:fetch"
    )
    certificates = processes.directory / "certificates.json"
    write_certificates(sns, certificates)
    bridge = [sys.executable, "-m", "tests.support.bridge_process", str(certificates)]
    processes.start("bridge", bridge, {**system.environment, "EAGLE_PROCESS_NAME": "bridge"})
    processes.start(
        "sqs",
        [sys.executable, "-m", "workers.sqs"],
        {**system.environment, "EAGLE_PROCESS_NAME": "sqs"},
    )
    processes.wait_until("the bridge", lambda: "listening" in processes.log("bridge").read_text())
    sqs_log = processes.log("sqs")
    processes.wait_until("the SQS path", lambda: "receiver_started" in sqs_log.read_text())


async def seed_users(
    settings: Settings, people: Sequence[tuple[str, Credentials]], intervals: dict[Kind, float]
) -> None:
    """Register users whose readings of all kinds were fetched just now."""
    store, cipher = wiring.user_store(settings, passwords=True), wiring.cipher(settings)
    state = UserState(asked=dict.fromkeys(Kind, time.time()))
    try:
        await store.users.restore(
            [
                StoredUser(User(name, intervals), cipher.seal(secret), state, None, None)
                for name, secret in people
            ]
        )
    finally:
        await store.close()


async def _all_ways(
    system: System, sns: FakeSns, endpoint: str, idle: Sequence[str], pause: float
) -> list[dict[str, Any]]:
    settings = system.settings
    client, store = (
        aws_clients.sns(settings, Topic.parse(TOPIC)),
        wiring.user_store(settings, passwords=False),
    )
    adhoc = AdhocRequests(store.schedule, make_publisher(settings))
    async with aiohttp.ClientSession() as http:

        async def through_sqs(cloud_id: str) -> None:
            await asyncio.to_thread(client.publish, TopicArn=TOPIC, Message=message_for([cloud_id]))

        async def over_http(cloud_id: str) -> None:
            fields = sns.notification(message_for([cloud_id]))
            async with http.post(endpoint, data=body(fields), headers=headers(fields)) as response:
                if response.status != 200:
                    raise Failed(f"the bridge answered {response.status}")

        async def directly(cloud_id: str) -> None:
            await adhoc.fetch_now([cloud_id])

        ways: dict[str, Ask] = {
            "through SNS and SQS": through_sqs,
            "over HTTP": over_http,
            "direct": directly,
        }
        try:
            return [
                await _measure_way(
                    system.processes,
                    settings,
                    name,
                    ask,
                    idle[number * PINGS : (number + 1) * PINGS],
                    pause=pause,
                )
                for number, (name, ask) in enumerate(ways.items())
            ]
        finally:
            adhoc.close()
            await store.close()


async def _measure_way(
    processes: Processes,
    settings: Settings,
    name: str,
    ask: Ask,
    cloud_ids: Sequence[str],
    *,
    pause: float,
) -> dict[str, Any]:
    before, began = proc.use(processes.ids()), time.monotonic()
    tasks = []
    for number, cloud_id in enumerate(cloud_ids):
        await asyncio.sleep(began + number * pause - time.monotonic())
        tasks.append(asyncio.create_task(until_line(settings, ask, cloud_id)))
    took = sorted(await asyncio.gather(*tasks))
    seconds = time.monotonic() - began
    after = proc.use(processes.ids())
    shown = {"p50": _share(took, 0.5), "p99": _share(took, 0.99), "max": took[-1]}
    return {
        "name": f"ping to line, {name}",
        "seconds": round(seconds, 3),
        "cpu": round(sum(after.cpu.values()) - sum(before.cpu.values()), 3),
        "count": len(took),
        "per_second": round(len(took) / seconds, 1),
        "note": ", ".join(f"{what} {value:.2f} s" for what, value in shown.items())
        + f"; {FLEET} homes polled beside",
        **{f"{what}_seconds": round(value, 3) for what, value in shown.items()},
    }


async def until_line(settings: Settings, ask: Ask, cloud_id: str) -> float:
    """Seconds from the ping until the home's log files have grown."""
    before, began = _size(settings, cloud_id), time.monotonic()
    await ask(cloud_id)
    while _size(settings, cloud_id) == before:
        if time.monotonic() - began > LINE_WITHIN_S:
            raise Failed(f"no line of {cloud_id} within {LINE_WITHIN_S:g} s")
        await asyncio.sleep(_POLL_EVERY_S)
    return time.monotonic() - began


def _size(settings: Settings, cloud_id: str) -> int:
    """Bytes in this home's log files of all hours."""
    shard = shard_name(shard_of(cloud_id, settings.shards))
    return sum(
        path.stat().st_size
        for path in Path(settings.logs_dir).glob(f"*/{shard}/rainforest-{cloud_id}-*.jsonl")
    )


def _share(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
