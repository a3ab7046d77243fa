"""Senders that would wear the server out, and what its probes answer meanwhile."""

from __future__ import annotations

import asyncio
import gzip
import json
from urllib.parse import urlsplit

import aiohttp
import pytest

from eagle_logger.core.token_bucket import Rate
from eagle_logger.settings import Settings
from eagle_logger.users.store import UserStore
from tests.integration.bridge.conftest import Queue
from tests.support.fake_sns import FakeSns, body
from tests.support.polling import PATIENCE_S
from workers.server import limits
from workers.server.app import BoundedServer
from workers.server.lifecycle import running_bridge
from workers.server.limits import RateLimit
from workers.up.ports import free_port

TOO_SLOW = 0.3
POST = b"POST /sns HTTP/1.1\r\nHost: a\r\n"


async def raw(url: str, *parts: bytes, pause: float = 0.0, patience: float = PATIENCE_S) -> bytes:
    """Send these bytes and read until the server closes."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        async with asyncio.timeout(patience):
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(pause)
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.fixture
async def hasty(settings: Settings, store: UserStore, monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setattr(limits, "HEADERS_WITHIN_S", TOO_SLOW)
    monkeypatch.setattr(limits, "BODY_WITHIN_S", TOO_SLOW)
    async with running_bridge(settings, Queue()) as url:
        yield url


@pytest.mark.parametrize(
    ("parts", "pause"),
    [
        ([b""], 0.0),
        ([b"GET /heal"], 0.0),
        ([b"GET /healthz HTTP/1.1\r\n", *[b"X-A: b\r\n"] * 100], 0.05),
        ([POST + b"Content-Length: 1000\r\n\r\n", *[b"x"] * 100], 0.05),
        ([POST + b"Transfer-Encoding: chunked\r\n\r\n", *[b"1\r\nx\r\n"] * 100], 0.05),
    ],
    ids=[
        "sends nothing",
        "stops in the first line",
        "drips headers",
        "drips its body",
        "drips chunks",
    ],
)
async def test_a_sender_that_is_too_slow_is_cut_off(
    hasty: str, parts: list[bytes], pause: float
) -> None:
    assert b"200 OK" not in await raw(hasty, *parts, pause=pause)
    async with aiohttp.ClientSession(hasty) as http, http.get("/healthz") as response:
        assert response.status == 200


async def test_a_sender_that_asks_too_often_is_answered_429(
    settings: Settings, store: UserStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RateLimit.__init__, "__defaults__", (Rate(0.01, 20), Rate(0.01, 100)))
    async with running_bridge(settings, Queue()) as url, aiohttp.ClientSession(url) as http:
        statuses = []
        for _ in range(25):
            async with http.post("/sns", data=b"{}") as response:
                statuses.append(response.status)
                answer = await response.json(content_type=None)
        assert statuses == [400] * 20 + [429] * 5
        assert answer["reason"] == "too_many_requests"
        assert 0 < int(response.headers["Retry-After"]) <= 100
        async with http.get("/healthz") as response:
            assert response.status == 200


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"Content-Length: 99999999999999999999\r\n\r\n",
        POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffff\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_bytes_that_are_no_http_are_not_answered_with_200(
    bridge: str, request_bytes: bytes
) -> None:
    answer = await raw(bridge, request_bytes + b"\r\n\r\n")
    assert b" 200 " not in answer
    assert b"Traceback" not in answer


async def test_a_body_of_a_gigabyte_is_not_read(bridge: str) -> None:
    answer = await raw(bridge, POST + b"Content-Length: 1000000000\r\n\r\n", b"x" * 1000)
    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_a_compressed_body_is_not_unpacked(bridge: str, sns: FakeSns) -> None:
    packed = gzip.compress(body(sns.notification("002738")))
    async with aiohttp.ClientSession(bridge) as http:
        headers = {"Content-Encoding": "gzip", "Content-Type": "text/plain"}
        async with http.post("/sns", data=packed, headers=headers) as response:
            assert (response.status, (await response.json(content_type=None))["reason"]) == (
                400,
                "not_json",
            )


async def test_an_internal_error_shows_nothing_of_its_cause(
    settings: Settings, store: UserStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(cloud_ids: object) -> None:
        raise ZeroDivisionError("the secret word")

    async with running_bridge(settings, broken) as url:
        token = settings.api_token.get_secret_value() if settings.api_token else ""
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            aiohttp.ClientSession(url, headers=headers) as http,
            http.post("/api/event/002738") as response,
        ):
            text = await response.text()
            assert (response.status, response.content_type) == (500, "application/problem+json")
    assert json.loads(text)["detail"] == "Internal Server Error"
    assert "secret" not in text
    assert "Zero" not in text


async def test_a_crowd_of_idle_connections_does_not_keep_the_probes_from_answering(
    settings: Settings, store: UserStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundedServer, "max_connections", 20)
    monkeypatch.setattr(RateLimit.__init__, "__defaults__", (Rate(0.001, 2), Rate(0.001, 2)))
    probes = settings.model_copy(update={"bridge_probe_port": free_port()})
    async with running_bridge(probes, Queue()) as url, aiohttp.ClientSession() as http:
        address = urlsplit(url)
        crowd = [await asyncio.open_connection(address.hostname, address.port) for _ in range(20)]
        assert await raw(url, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n") == b"", (
            "there is no room"
        )
        for path in ("/healthz", "/metrics"):
            async with http.get(f"http://127.0.0.1:{probes.probe_port}{path}") as response:
                assert response.status == 200, path
        async with http.get(f"http://127.0.0.1:{probes.probe_port}/api/users/") as response:
            assert response.status == 404
        for _, writer in crowd:
            writer.close()


async def test_behind_a_trusted_proxy_the_limit_is_for_the_sender_that_the_proxy_names(
    settings: Settings, store: UserStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RateLimit.__init__, "__defaults__", (Rate(0.001, 2), Rate(1000, 1000)))
    behind = settings.model_copy(update={"trusted_proxies": ("127.0.0.0/8",)})

    async def statuses(url: str, sender: str) -> list[int]:
        async with aiohttp.ClientSession(url, headers={"X-Forwarded-For": sender}) as http:
            answers = []
            for _ in range(3):
                async with http.get("/readyz") as response:
                    answers.append(response.status)
            return answers

    async with running_bridge(behind, Queue()) as url:
        assert 429 not in (await statuses(url, "192.0.2.1"))[:2]
        assert (await statuses(url, "192.0.2.1"))[-1] == 429
        assert 429 not in (await statuses(url, "made-up, 192.0.2.2"))[:2], (
            "another sender has a limit of its own"
        )
    async with running_bridge(settings, Queue()) as url:
        await statuses(url, "192.0.2.1")
        assert (await statuses(url, "192.0.2.2"))[0] == 429, (
            "no proxy is trusted: the connection counts"
        )
