"""`eagle-logger simulate-s3` as a process of its own."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from eagle_logger.archive.s3 import S3Archive
from eagle_logger.errors import AlreadyThere, ArchiveUnavailable
from tests.integration.cli.commands import COMMAND
from tests.support.polling import PATIENCE_S
from tests.support.programs import environment_with


@contextmanager
def running(data: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    environment = environment_with(
        EAGLE_AWS_ACCESS_KEY_ID="test-key", EAGLE_AWS_SECRET_ACCESS_KEY="not-a-secret"
    )
    command = [*COMMAND, "simulate-s3", "--data", str(data)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def archive_at(url: str, secret: str = "not-a-secret") -> S3Archive:
    return S3Archive(
        "s3://eagle",
        endpoint_url=url,
        region="us-east-1",
        access_key_id="test-key",
        secret_access_key=secret,
    )


def test_objects_outlive_a_kill_and_sigterm_ends_the_process(tmp_path: Path) -> None:
    with running(tmp_path) as (process, url):
        archive_at(url).put("some/key", b"body", {"rows": "3"})
        process.send_signal(signal.SIGKILL)
        process.wait()
    with running(tmp_path) as (process, url):
        stored = archive_at(url).head("some/key")
        assert stored is not None
        assert stored.metadata == {"rows": "3"}
        with pytest.raises(AlreadyThere):
            archive_at(url).put("some/key", b"other", {})
        with pytest.raises(ArchiveUnavailable, match="EAGLE_AWS_SECRET_ACCESS_KEY"):
            archive_at(url, "wrong").ping()
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    assert (tmp_path / "s3" / "eagle" / "some" / "key").read_bytes() == b"body"
    assert len((tmp_path / "s3" / "puts.jsonl").read_text().splitlines()) == 2
