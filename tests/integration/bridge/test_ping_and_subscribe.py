"""`ping` and `subscribe`: their messages when something is wrong, and the way without SNS."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import redis
from click.testing import CliRunner, Result
from pydantic import SecretStr

from eagle_logger.core.users import UserState
from eagle_logger.errors import ConfigurationError, EagleError
from eagle_logger.settings import Settings
from eagle_logger.users.store import Grid, Report, UserStore
from workers.bridge import ping_and_subscribe


@pytest.fixture
def cli(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command under these settings, with the changes given. The command brings an event loop
    of its own, so it runs in another thread."""

    async def run(command: str, *words: str, **changes: object) -> Result:
        monkeypatch.setattr(
            "eagle_logger.settings.load", lambda _: settings.model_copy(update=changes)
        )
        return await asyncio.to_thread(
            CliRunner().invoke, getattr(ping_and_subscribe, command), words
        )

    return run


def enqueued(settings: Settings) -> list[Any]:
    """The task and the arguments of each message for the ad-hoc workers, oldest first."""
    with redis.Redis.from_url(settings.broker) as broker:
        messages = [json.loads(message) for message in reversed(broker.lrange("adhoc", 0, -1))]
    return [
        (message["headers"]["task"], json.loads(base64.b64decode(message["body"]))[0])
        for message in messages
    ]


async def test_a_direct_ping_goes_to_the_workers(
    cli: Any, settings: Settings, store: UserStore
) -> None:
    result = await cli("ping", "--direct", "00CE69", "00ce69")
    assert (result.exit_code, result.output) == (0, "00ce69: sent to the workers\n")
    assert enqueued(settings) == [("fetch", [["00ce69"]])]


async def test_a_direct_ping_names_unknown_users_and_sends_the_known_ones(
    cli: Any, settings: Settings, store: UserStore
) -> None:
    result = await cli("ping", "--direct", "abcdef", "00ce69")
    assert isinstance(result.exception, EagleError)
    assert str(result.exception).startswith("unknown: abcdef;")
    assert enqueued(settings) == [("fetch", [["00ce69"]])]


async def test_a_direct_ping_names_users_who_are_parked_or_being_fetched(
    cli: Any, settings: Settings, store: UserStore
) -> None:
    await store.schedule.request(["00ce69", "002738"])
    claims = {
        claim.cloud_id: claim
        for claim in await store.schedule.claim(["00ce69", "002738"], "a worker")
    }
    state = UserState(parked="the relay refuses the password")
    await store.schedule.report(
        [Report("00ce69", claims["00ce69"].token, state, Grid(6.0, 0.0))], {}
    )
    result = await cli("ping", "--direct", "00ce69", "002738")
    assert result.output == "002738: being fetched already, and once more after that\n"
    assert str(result.exception).startswith("parked: 00ce69;")
    assert enqueued(settings) == []


@pytest.mark.parametrize(
    ("words", "changes", "kind", "beginning"),
    [
        (["ping", "nobody"], {}, EagleError, "'nobody' is not a cloud id"),
        (
            ["ping", "00ce69"],
            {"sns_topic_arns": ()},
            ConfigurationError,
            "EAGLE_SNS_TOPIC_ARNS is not set",
        ),
        (
            ["ping", "00ce69", "--topic", "fetch"],
            {},
            ConfigurationError,
            "--topic: 'fetch' is not the ARN",
        ),
        (
            ["ping", "00ce69"],
            {"aws_endpoint_url": "http://127.0.0.1:9"},
            EagleError,
            "not published to arn:",
        ),
        (["subscribe", "--http", "ftp://x"], {}, EagleError, "'ftp://x' is not a URL"),
        (["subscribe", "--sqs", "fetch"], {}, EagleError, "'fetch' is neither the ARN nor the URL"),
        (
            ["subscribe", "--http", "https://x/"],
            {"aws_endpoint_url": "http://127.0.0.1:9"},
            EagleError,
            "not subscribed:",
        ),
    ],
)
async def test_a_failure_is_one_line(
    cli: Any, words: list[str], changes: dict[str, Any], kind: type[Exception], beginning: str
) -> None:
    result = await cli(*words, **{"aws_access_key_id": "testing", **changes})
    assert isinstance(result.exception, kind)
    assert str(result.exception).startswith(beginning)
    assert "\n" not in str(result.exception)


@pytest.fixture
def failing_proxy() -> Iterator[str]:
    """The URL of a server that answers everything with status 500 and a page."""

    class Page(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            page = b"<!DOCTYPE html>\n<body><hr>Bad Gateway</body>\n"
            self.send_response(500)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("words", "beginning"),
    [
        (["ping", "00ce69"], "not published to arn:"),
        (["subscribe", "--http", "https://x/"], "not subscribed: "),
    ],
)
async def test_an_answer_that_sns_never_gives_is_one_line(
    cli: Any, failing_proxy: str, words: list[str], beginning: str
) -> None:
    secret = SecretStr("testing")
    result = await cli(
        *words,
        aws_endpoint_url=failing_proxy,
        aws_access_key_id="testing",
        aws_secret_access_key=secret,
    )
    assert isinstance(result.exception, EagleError)
    assert str(result.exception).startswith(beginning)
    assert "EAGLE_AWS_ENDPOINT_URL" in str(result.exception)
    assert "\n" not in str(result.exception)


@pytest.mark.parametrize(
    "words",
    [
        ["ping"],
        ["subscribe"],
        ["subscribe", "--http", "https://x/", "--sqs", "y"],
        ["ping", "00ce69", "--direct", "--topic", "x"],
    ],
)
async def test_wrong_options_are_a_usage_error(cli: Any, words: list[str]) -> None:
    assert (await cli(*words)).exit_code == 2


async def test_a_direct_ping_without_a_broker_fails_in_one_line(
    cli: Any, settings: Settings, store: UserStore, tmp_path: Path
) -> None:
    result = await cli("ping", "--direct", "00ce69", broker_url="redis://127.0.0.1:9/0")
    assert isinstance(result.exception, EagleError)
    assert "broker" in str(result.exception)
