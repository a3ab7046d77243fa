from __future__ import annotations

import sys
from pathlib import Path

import pytest
from celery import Celery

from tests.support.programs import environment_with, run_to_end, settings_of_workers
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
    environment = environment_with(**settings_of_workers(redis_url, tmp_path))
    with Celery(broker=redis_url.removesuffix("/0") + "/1") as client:
        client.send_task(task, queue="adhoc", ignore_result=True)
    options = ["-Q", "adhoc", "-P", "threads", "-c", "2", "-I", "tests.support.hanging"]
    command = [sys.executable, "-m", "celery", "-A", "workers.app", "worker", *options]
    ended = run_to_end(command, env=environment)
    assert ended.returncode == EXIT_STATUS_HUNG, ended.stderr
    assert reason in ended.stdout + ended.stderr
    assert "Current thread" in ended.stderr
