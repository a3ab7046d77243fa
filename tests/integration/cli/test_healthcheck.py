from __future__ import annotations

import asyncio
import re
import socket
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner

from eagle_logger import settings, wiring
from eagle_logger.cli.main import main
from workers.process.beat_heartbeat import BeatHeartbeat


@pytest.fixture(autouse=True)
def _environment(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EAGLE_REDIS_URL", redis_url)
    monkeypatch.setenv("EAGLE_DATA_DIR", str(tmp_path))


def beat_sends_a_message(name: str, **changed_settings: Any) -> None:
    store = wiring.user_store(settings.load(**changed_settings), passwords=False)
    heartbeat = BeatHeartbeat(store.fleet, name)
    heartbeat(sender="dispatch")
    heartbeat._runner.run(store.close())
    heartbeat._runner.close()


def check(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["healthcheck", *arguments])
    return result.exit_code, result.output


def test_a_process_that_never_reported_fails_the_check() -> None:
    assert check("beat") == (1, "beat: has not reported within the hour\n")


def test_a_process_that_reported_just_now_passes_the_check() -> None:
    beat_sends_a_message("beat")
    code, output = check("beat")
    assert code == 0
    assert re.match(r"beat: last progress \d+\.\d", output)


def test_a_process_that_reported_too_long_ago_fails_the_check(redis_url: str) -> None:
    beat_sends_a_message("beat")
    with redis.Redis.from_url(redis_url) as client:
        seconds, _ = client.time()
        client.hset("eagle:progress", "beat", f'{{"at": {seconds - 600}}}')
    assert check("beat", "--within", "1200")[0] == 0
    assert check("beat", "--within", "300")[0] == 1


def test_percent_h_stands_for_the_name_of_the_host() -> None:
    beat_sends_a_message(f"fetch@{socket.gethostname()}")
    assert check("fetch@%h")[0] == 0


def test_beat_carries_on_without_redis() -> None:
    beat_sends_a_message("beat", redis_url="redis://127.0.0.1:1/0")
    assert asyncio.run(reported_progress()) == {}


async def reported_progress() -> dict[str, dict[str, str | int | float]]:
    store = wiring.user_store(settings.load(), passwords=False)
    try:
        return await store.fleet.progress()
    finally:
        await store.close()
