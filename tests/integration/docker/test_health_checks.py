"""The health checks of the image, each as its own process, as the engine runs them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
import redis

DOCKER = Path(__file__).parents[3] / "docker"


def check(script: str, *words: str, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-I", DOCKER / script, *words],
        env={"EAGLE_SECRETS_DIR": "", "NO_PROXY": "127.0.0.1", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr.strip()


def reported(url: str, name: str, seconds_ago: float) -> None:
    with redis.Redis.from_url(url) as client:
        seconds, _ = client.time()
        client.hset("eagle:progress", name, json.dumps({"at": seconds - seconds_ago}))


def test_who_reported_lately_is_well_and_who_did_not_is_not(redis_url: str) -> None:
    reported(redis_url, "beat", 5)
    reported(redis_url, "sqs", 45)
    assert check("progress.py", "beat", EAGLE_REDIS_URL=redis_url) == (0, "")
    assert check("progress.py", "sqs", "60", EAGLE_REDIS_URL=redis_url) == (0, "")
    assert check("progress.py", "rotator", EAGLE_REDIS_URL=redis_url) == (
        1,
        "rotator has not reported within the hour",
    )
    code, said = check("progress.py", "sqs", EAGLE_REDIS_URL=redis_url)
    assert code == 1
    assert said.startswith("sqs: last progress 4")


def test_another_spelling_of_the_address_is_left_to_the_command(
    redis_url: str, tmp_path: Path
) -> None:
    reported(redis_url, "beat", 5)
    url = redis_url.removesuffix("/0") + "?db=0"
    environment = {
        "EAGLE_REDIS_URL": url,
        "EAGLE_DATA_DIR": str(tmp_path),
        "PATH": str(Path(sys.executable).parent),
    }
    assert check("progress.py", "beat", **environment) == (0, "")
    assert check("progress.py", "rotator", **environment)[0] == 1


def test_without_redis_it_says_so_in_one_line() -> None:
    code, said = check("progress.py", "beat", EAGLE_REDIS_URL="redis://127.0.0.1:1/0")
    assert (code, said) == (1, "Redis at 127.0.0.1 does not answer: [Errno 111] Connection refused")


class Flower(BaseHTTPRequestHandler):
    """Answers 200 whatever it knows, as the real one does."""

    heard_of: float | None = None

    def do_GET(self) -> None:
        well = self.headers["Authorization"] == "Basic ZWFnbGU6c3dvcmRmaXNo"
        self.send_response(200 if well else 401)
        self.end_headers()
        self.wfile.write(
            json.dumps(
                {} if self.heard_of is None else {"fetch@here": {"timestamp": self.heard_of}}
            ).encode()
        )

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def flower() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Flower)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/api/workers"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(("age", "code"), [(5, 0), (90, 1), (None, 1)])
def test_flower_is_well_if_it_heard_of_a_worker_lately(
    flower: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age: float | None, code: int
) -> None:
    (tmp_path / "password").write_text("swordfish\n")
    monkeypatch.setattr(Flower, "heard_of", None if age is None else time.time() - age)
    found, said = check("answers.py", flower, f"eagle:{tmp_path / 'password'}", "60")
    assert found == code
    assert bool(said) == bool(code)
    assert "\n" not in said


def test_who_does_not_answer_or_refuses_is_not_well(flower: str, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("another\n")
    assert check("answers.py", flower, f"eagle:{tmp_path / 'password'}", "60") == (
        1,
        f"{flower}: HTTP Error 401: Unauthorized",
    )
    assert check("answers.py", "http://127.0.0.1:1/")[0] == 1
