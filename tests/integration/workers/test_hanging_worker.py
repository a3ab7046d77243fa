from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from celery import Celery
from cryptography.fernet import Fernet

from tests.support.polling import PATIENCE_S
from workers.process.watchdog import EXIT_STATUS_HUNG


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ("hang_loop", "the event loop has stood still"),
        ("hang_consumer", "Celery's consumer has stood still"),
    ],
)
def test_a_worker_that_hangs_ends_itself(
    redis_url: str, tmp_path: Path, task: str, reason: str
) -> None:
    environment = {
        **os.environ,
        "EAGLE_REDIS_URL": redis_url,
        "EAGLE_DATA_DIR": str(tmp_path),
        "EAGLE_SECRET_KEYS": Fernet.generate_key().decode(),
    }
    with Celery(broker=redis_url.removesuffix("/0") + "/1") as client:
        client.send_task(task, queue="adhoc", ignore_result=True)
    options = ["-Q", "adhoc", "-P", "threads", "-c", "2", "-I", "tests.support.hanging"]
    ended = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "workers.app", "worker", *options],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == EXIT_STATUS_HUNG, ended.stderr
    assert reason in ended.stdout + ended.stderr
    assert "Current thread" in ended.stderr
