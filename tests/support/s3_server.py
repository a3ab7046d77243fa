"""The strict S3 stand-in on a real socket, in a thread of the test's process."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from eagle_logger.simulator.s3.faults import Fault
from eagle_logger.simulator.s3.server import StandInS3, serve
from tests.support.polling import PATIENCE_S

if TYPE_CHECKING:
    from eagle_logger.archive.s3 import S3Archive

KEY_ID = "test-key"
SECRET = "not-a-secret"
BUCKET = "eagle"


class RunningS3:
    """`url` is the endpoint; `directory` holds the objects."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.url = ""
        self._stand_in = StandInS3(directory, buckets=[BUCKET], credentials={KEY_ID: SECRET})
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    def misbehave(self, *faults: dict[str, Any]) -> None:
        self._stand_in.faults.rules = [Fault.parse(fault) for fault in faults]

    def archive(self, url: str = f"s3://{BUCKET}/archive", **options: Any) -> S3Archive:
        # boto3 is slow to import, and most tests do not need it.
        from eagle_logger.archive.s3 import S3Archive

        defaults = {
            "endpoint_url": self.url,
            "region": "us-east-1",
            "access_key_id": KEY_ID,
            "secret_access_key": SECRET,
        }
        return S3Archive(url, **{**defaults, **options})

    def puts(self) -> list[dict[str, Any]]:
        return [
            json.loads(line) for line in (self.directory / "puts.jsonl").read_text().splitlines()
        ]

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(
                serve(self._stand_in, "127.0.0.1", 0, self._stop, self._is_ready)
            )
        finally:
            self._loop.close()

    def _is_ready(self, url: str) -> None:
        self.url = url
        self._ready.set()


@pytest.fixture
def s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningS3]:
    monkeypatch.setattr("eagle_logger.archive.s3._CONFLICT_PAUSE_S", 0.001)
    monkeypatch.setattr(
        "botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.001
    )
    running = RunningS3(tmp_path / "s3")
    running.start()
    yield running
    running.stop()
