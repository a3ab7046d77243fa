"""The health checks of the image, each as a process of its own, as the engine runs them."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
import redis

from tests.support.programs import run_to_end

DOCKER = Path(__file__).parents[3] / "docker"


def check(script: str, *arguments: str, **environment: str) -> tuple[int, str]:
    """Its exit status, and what it wrote to standard error."""
    environment = {"EAGLE_SECRETS_DIR": "", "NO_PROXY": "127.0.0.1", **environment}
    done = run_to_end([sys.executable, "-I", DOCKER / script, *arguments], env=environment)
    return done.returncode, done.stderr.strip()


def note_progress(url: str, name: str, seconds_ago: float) -> None:
    with redis.Redis.from_url(url) as client:
        now, _ = client.time()
        client.hset("eagle:progress", name, json.dumps({"at": now - seconds_ago}))


def test_a_process_is_healthy_if_it_noted_progress_within_the_time_given(redis_url: str) -> None:
    note_progress(redis_url, "beat", 5)
    note_progress(redis_url, "sqs", 600)
    assert check("progress.py", "beat", EAGLE_REDIS_URL=redis_url) == (0, "")
    assert check("progress.py", "sqs", "1200", EAGLE_REDIS_URL=redis_url) == (0, "")
    status, message = check("progress.py", "sqs", EAGLE_REDIS_URL=redis_url)
    assert status == 1
    assert re.fullmatch(r"sqs: last progress 6\d\d s ago", message)


def test_a_process_that_never_noted_progress_is_not_healthy(redis_url: str) -> None:
    assert check("progress.py", "rotator", EAGLE_REDIS_URL=redis_url) == (
        1,
        "rotator has not reported within the hour",
    )


def test_an_address_in_another_spelling_is_left_to_the_command(
    redis_url: str, tmp_path: Path
) -> None:
    note_progress(redis_url, "beat", 5)
    environment = {
        "EAGLE_REDIS_URL": redis_url.removesuffix("/0") + "?db=0",
        "EAGLE_DATA_DIR": str(tmp_path),
        "PATH": str(Path(sys.executable).parent),
    }
    assert check("progress.py", "beat", **environment) == (0, "")
    assert check("progress.py", "rotator", **environment)[0] == 1


def test_without_redis_the_check_fails_with_one_line() -> None:
    url = "redis://127.0.0.1:1/0"
    assert check("progress.py", "beat", EAGLE_REDIS_URL=url) == (
        1,
        "Redis at 127.0.0.1 does not answer: [Errno 111] Connection refused",
    )


class Flower(BaseHTTPRequestHandler):
    """Answers 200 whatever it knows, as the real one does."""

    worker_heard_at: float | None = None

    def do_GET(self) -> None:
        is_allowed = self.headers["Authorization"] == "Basic ZWFnbGU6c3dvcmRmaXNo"
        workers = (
            {}
            if self.worker_heard_at is None
            else {"fetch@here": {"timestamp": self.worker_heard_at}}
        )
        self.send_response(200 if is_allowed else 401)
        self.end_headers()
        self.wfile.write(json.dumps(workers).encode())

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@pytest.fixture
def flower() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Flower)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/api/workers"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(("age", "expected"), [(5, 0), (90, 1), (None, 1)])
def test_flower_is_healthy_if_it_heard_of_a_worker_within_the_time_given(
    flower: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age: float | None, expected: int
) -> None:
    (tmp_path / "password").write_text("swordfish\n")
    monkeypatch.setattr(Flower, "worker_heard_at", None if age is None else time.time() - age)
    status, message = check("answers.py", flower, f"eagle:{tmp_path / 'password'}", "60")
    assert status == expected
    assert bool(message) == bool(expected)
    assert "\n" not in message


def test_a_server_that_refuses_or_does_not_answer_is_not_healthy(
    flower: str, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("another\n")
    assert check("answers.py", flower, f"eagle:{tmp_path / 'password'}", "60") == (
        1,
        f"{flower}: HTTP Error 401: Unauthorized",
    )
    assert check("answers.py", "http://127.0.0.1:1/")[0] == 1
