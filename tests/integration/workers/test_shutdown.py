from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tests.support.polling import PATIENCE_S, wait_until
from tests.support.programs import environment_with, settings_of_workers
from tests.support.redis_server import RedisServer
from workers.process.shutdown import grace_period


def test_a_worker_ends_although_redis_does_not_answer(tmp_path: Path) -> None:
    """Celery's consumer alone would try for ever to take its leave of Redis."""
    log = tmp_path / "worker.log"
    with RedisServer(tmp_path) as server:
        environment = environment_with(**settings_of_workers(server.url, tmp_path))
        options = "-A workers.app worker -Q fetch -P threads -c 2"
        command = [sys.executable, "-m", "celery", *options.split()]
        with (
            log.open("wb") as file,
            subprocess.Popen(command, env=environment, stdout=file, stderr=file) as worker,
        ):
            try:
                wait_until(lambda: " ready." in log.read_text())
                assert server.process is not None
                server.process.send_signal(signal.SIGSTOP)
                wait_until(lambda: "heartbeat_failed" in log.read_text())
                worker.send_signal(signal.SIGTERM)
                assert worker.wait(grace_period(deadline=10.0, rotates=False) + PATIENCE_S) == 0
            finally:
                worker.kill()
    assert "shutdown_forced" in log.read_text()
