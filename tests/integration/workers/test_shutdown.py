from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from cryptography.fernet import Fernet

from tests.acceptance.running import until
from tests.support.redis_server import RedisServer

GRACE = 25
"""Seconds: a fetching worker's deadline, and what it is given beside that; `up` and Compose wait
for longer."""


def test_a_worker_ends_although_redis_does_not_answer(tmp_path: Path) -> None:
    """Celery's consumer alone would try for ever to tell Redis good-bye."""
    log = tmp_path / "worker.log"
    with RedisServer(tmp_path) as server:
        environment = {
            **os.environ,
            "EAGLE_REDIS_URL": server.url,
            "EAGLE_DATA_DIR": str(tmp_path),
            "EAGLE_SECRET_KEYS": Fernet.generate_key().decode(),
        }
        command = [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "workers.app",
            "worker",
            "-Q",
            "fetch",
            "-P",
            "threads",
            "-c",
            "2",
        ]
        with (
            log.open("wb") as file,
            subprocess.Popen(command, env=environment, stdout=file, stderr=file) as worker,
        ):
            try:
                until(lambda: " ready." in log.read_text(), 30)
                assert server.process is not None
                server.process.send_signal(signal.SIGSTOP)
                until(lambda: "heartbeat_failed" in log.read_text(), 30)
                worker.send_signal(signal.SIGTERM)
                assert worker.wait(GRACE + 5) == 0
            finally:
                worker.kill()
    assert "shutdown_forced" in log.read_text()
