"""`python -m workers.server` as a process."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from eagle_logger.settings import Settings
from eagle_logger.users.store import UserStore
from tests.support.fake_sns import FakeSns
from tests.support.polling import PATIENCE_S
from workers.server.lifecycle import running_bridge


@asynccontextmanager
async def process(**environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "workers.server", env=environment, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
            await started.wait()


async def url_of(started: asyncio.subprocess.Process) -> str:
    assert started.stderr is not None
    while line := await asyncio.wait_for(started.stderr.readline(), PATIENCE_S):
        fields = json.loads(line)
        if fields["event"] == "listening":
            return str(fields["url"])
    raise AssertionError("the bridge ended")


def environment(tmp_path: Path, redis_url: str) -> dict[str, str]:
    return {
        "EAGLE_DATA_DIR": str(tmp_path),
        "EAGLE_REDIS_URL": redis_url,
        "EAGLE_BRIDGE_PORT": "0",
        "EAGLE_LOG_FORMAT": "json",
    }


async def test_the_bridge_stops_on_sigterm_with_status_0(tmp_path: Path, redis_url: str) -> None:
    async with process(**environment(tmp_path, redis_url)) as started:
        url = await url_of(started)
        assert url.startswith("http://127.0.0.1:")
        async with aiohttp.ClientSession(url) as http, http.get("/healthz") as response:
            assert response.status == 200
        started.send_signal(signal.SIGTERM)
        _, log = await asyncio.wait_for(started.communicate(), PATIENCE_S)
    assert started.returncode == 0
    assert all(json.loads(line)["level"] == "info" for line in log.splitlines())


async def test_a_mistake_in_the_settings_is_one_line(tmp_path: Path, redis_url: str) -> None:
    for mistake in (
        {"EAGLE_SNS_TOPIC_ARNS": "fetch"},
        {"EAGLE_API_TOKEN": "a token for tests"},
        {"EAGLE_BRIDGE_HOST": "203.0.113.1"},
    ):
        async with process(**{**environment(tmp_path, redis_url), **mistake}) as started:
            _, log = await asyncio.wait_for(started.communicate(), PATIENCE_S)
        assert started.returncode == 2
        assert b"Traceback" not in log
        assert log.decode().count("\n") <= 2


async def test_a_request_under_way_is_answered_before_the_bridge_stops(
    settings: Settings, store: UserStore, sns: FakeSns
) -> None:
    began, let_go, statuses = threading.Event(), threading.Event(), list[int]()

    def slow(_: Sequence[str]) -> None:
        began.set()
        let_go.wait(PATIENCE_S)

    async def deliver(url: str) -> None:
        statuses.extend(await sns.deliver(f"{url}/sns", sns.notification("002738"), attempts=1))

    async with running_bridge(settings, slow, fetch_certificate=sns.fetch_certificate) as url:
        delivery = asyncio.create_task(deliver(url))
        await asyncio.to_thread(began.wait, PATIENCE_S)
        asyncio.get_running_loop().call_later(0.1, let_go.set)
    await delivery
    assert statuses == [200]


async def test_a_bridge_whose_port_is_taken_ends_and_names_the_setting(
    tmp_path: Path, redis_url: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        settings = environment(tmp_path, redis_url) | {"EAGLE_BRIDGE_PORT": port}
        async with process(**settings) as started:
            _, written = await asyncio.wait_for(started.communicate(), PATIENCE_S)
    assert started.returncode == 2
    address = f"127.0.0.1:{port} (EAGLE_BRIDGE_HOST, EAGLE_BRIDGE_PORT)"
    assert f"cannot listen at {address}: " in written.decode()
