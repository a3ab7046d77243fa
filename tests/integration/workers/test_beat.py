"""Beat keeps no file that a power cut could tear."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import redis

from eagle_logger.broker_queues import DISPATCH
from eagle_logger.settings import Settings
from tests.support.polling import until
from tests.support.programs import BEAT, Programs

TORN = {"empty": b"", "cut": b"\x80\x04\x95\x10", "zeroed": bytes(512)}
DIRECTORY = (
    b"'entries', (0, 391)\n'__version__', (512, 20)\n'tz', (1024, 8)\n'utc_enabled', (1536, 4)\n"
)


@pytest.mark.parametrize("torn", TORN)
async def test_beat_starts_beside_a_torn_schedule_and_sends_everything_at_once(
    redis_url: str, tmp_path: Path, torn: str
) -> None:
    """Units of systemd that were written for an older version still give `--schedule`. Beat accepts
    the option and writes no such file."""
    (tmp_path / "beat.dat").write_bytes(TORN[torn])
    (tmp_path / "beat.dir").write_bytes(DIRECTORY)
    broker = redis.Redis.from_url(Settings(redis_url=redis_url).broker)

    def tasks_sent() -> set[str]:
        return {
            json.loads(message)["headers"]["task"] for message in broker.lrange(DISPATCH, 0, -1)
        }

    environment = {"EAGLE_REDIS_URL": redis_url, "EAGLE_DATA_DIR": str(tmp_path)}
    with Programs(tmp_path, environment) as programs, broker:
        programs.celery("beat", *BEAT, "--schedule", str(tmp_path / "beat"))
        await until(lambda: {"dispatch", "rotate"} <= tasks_sent())
        assert programs.runs("beat")
    assert (tmp_path / "beat.dat").read_bytes() == TORN[torn]
