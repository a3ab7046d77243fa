"""The routes for people and programs."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from eagle_logger.settings import Settings
from eagle_logger.users.store import UserStore
from tests.integration.bridge.conftest import Queue
from workers.server.lifecycle import running_bridge

BODY = {
    "user_email": "b@example.com",
    "user_pw": "another secret",
    "intervals": {"demand": 12},
    "mac_id": "0x00158d0000000004",
}


async def asked(
    http: aiohttp.ClientSession, method: str, path: str, body: Any = None
) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    async with http.request(method, path, data=data) as response:
        kind = "application/json" if response.status < 400 else "application/problem+json"
        text = await response.text()
        assert "secret" not in text
        if response.status == 204:
            return response.status, None
        assert response.content_type == kind
        return response.status, json.loads(text)


async def test_a_user_is_added_shown_updated_and_removed(
    http: aiohttp.ClientSession, store: UserStore
) -> None:
    status, added = await asked(http, "POST", "/api/users/ABCDEF", BODY)
    assert (status, added["cloud_id"], added["intervals"]) == (201, "abcdef", {"demand": 12.0})
    assert (await asked(http, "GET", "/api/users/abcdef"))[0] == 200
    status, updated = await asked(http, "POST", "/api/users/abcdef", {**BODY, "intervals": {}})
    assert (status, updated["intervals"]) == (200, {})
    [claim] = await claimed(store, "abcdef")
    assert claim.credentials is not None
    assert (claim.credentials.user_email, claim.credentials.user_pw) == (
        "b@example.com",
        "another secret",
    )
    assert await asked(http, "DELETE", "/api/users/abcdef") == (204, None)
    assert (await asked(http, "GET", "/api/users/abcdef"))[0] == 404
    assert (await asked(http, "DELETE", "/api/users/abcdef"))[1]["reason"] == "unknown_user"


async def claimed(store: UserStore, cloud_id: str) -> Any:
    await store.schedule.request([cloud_id])
    return await store.schedule.claim([cloud_id], "a worker")


async def test_users_come_in_pages(http: aiohttp.ClientSession) -> None:
    _, first = await asked(http, "GET", "/api/users/?limit=2")
    _, second = await asked(http, "GET", f"/api/users/?limit=2&after={first['next']}")
    assert [user["cloud_id"] for user in first["users"] + second["users"]] == [
        "002738",
        "00ce69",
        "ffffff",
    ]
    assert second["next"] is None


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 400, "not_json"),
        (b"{", 400, "not_json"),
        (b"[" * 60_000, 400, "not_json"),
        (b"[]", 422, "invalid"),
        ({}, 422, "invalid"),
        ({**BODY, "user_pw": ""}, 422, "invalid"),
        ({**BODY, "user_pw": 5}, 422, "invalid"),
        ({**BODY, "user_pw": ["a secret"]}, 422, "invalid"),
        ({**BODY, "user_pw": "a\r\nCloud-Id: ffffff"}, 422, "invalid"),
        ({**BODY, "user_email": "a\r\nCloud-Id: ffffff"}, 422, "invalid"),
        ({**BODY, "intervals": {"weather": 6}}, 422, "invalid"),
        ({**BODY, "intervals": {"demand": 0.1}}, 422, "invalid"),
        ({**BODY, "mac_id": "zz"}, 422, "invalid"),
        ({**BODY, "cloud_id": "ffffff"}, 422, "invalid"),
        (b" " * 65_537, 413, "too_large"),
    ],
)
async def test_a_body_that_makes_no_sense_is_refused_with_a_reason(
    http: aiohttp.ClientSession, body: Any, status: int, reason: str
) -> None:
    answered, problem = await asked(http, "POST", "/api/users/abcdef", body)
    assert (answered, problem["reason"]) == (status, reason)
    assert (await asked(http, "GET", "/api/users/abcdef"))[0] == 404


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("GET", "/api/users/nobody", 400, "bad_cloud_id"),
        ("GET", "/api/users/?limit=0", 400, "bad_limit"),
        ("GET", "/api/users/?limit=501", 400, "bad_limit"),
        ("GET", "/api/users/?limit=x", 400, "bad_limit"),
        ("GET", "/api/users/?limit=0001009999", 400, "bad_limit"),
        ("GET", "/api/users/?limit=00000000000000000001", 400, "bad_limit"),
        ("GET", "/api/users/?limit=%2B5", 400, "bad_limit"),
        ("GET", "/api/users/?limit=%D9%A3", 400, "bad_limit"),
        ("GET", "/api/users/?after=x", 400, "bad_cloud_id"),
        ("PUT", "/api/users/abcdef", 405, "method_not_allowed"),
        ("GET", "/sns", 405, "method_not_allowed"),
        ("POST", "/", 405, "method_not_allowed"),
        ("GET", "/nothing", 404, "no_such_route"),
        ("POST", "/api/", 404, "no_such_route"),
        ("GET", "/api/users/%ff", 400, "bad_request"),
    ],
)
async def test_a_request_that_makes_no_sense_is_refused_with_a_reason(
    http: aiohttp.ClientSession, method: str, path: str, status: int, reason: str
) -> None:
    answered, problem = await asked(http, method, path)
    assert (answered, problem["status"], problem["reason"]) == (status, status, reason)


async def test_an_event_has_a_user_fetched(
    http: aiohttp.ClientSession, queue: Queue, store: UserStore
) -> None:
    assert await asked(http, "POST", "/api/event/00CE69") == (
        202,
        {"cloud_id": "00ce69", "outcome": "queued"},
    )
    assert queue.messages == [["00ce69"]]
    assert (await asked(http, "POST", "/api/event/abcdef"))[0] == 404
    queue.away = True
    assert (await asked(http, "POST", "/api/event/002738"))[0] == 503


@pytest.mark.parametrize(
    "given", [None, "Bearer ", "Bearer wrong", "Basic YTpi", "a token for tests", "Bearer ä"]
)
async def test_without_the_token_a_request_is_refused(bridge: str, given: str | None) -> None:
    headers = {"Authorization": given} if given else {}
    async with aiohttp.ClientSession(bridge, headers=headers) as http:
        for method, path in (
            ("GET", "/api/users/"),
            ("DELETE", "/api/users/002738"),
            ("POST", "/api/event/002738"),
        ):
            async with http.request(method, path) as response:
                assert response.status == 401
                assert response.headers["WWW-Authenticate"] == "Bearer"
    right = {"Authorization": "bearer  a token for tests"}
    async with (
        aiohttp.ClientSession(bridge, headers=right) as http,
        http.get("/api/users/002738") as response,
    ):
        assert response.status == 200


async def test_a_token_may_have_letters_beyond_ascii(
    settings: Settings, store: UserStore, queue: Queue
) -> None:
    odd = settings.model_copy(update={"api_token": SecretStr("schlüssel")})
    async with running_bridge(odd, queue) as url:
        for given, expected in (("schlüssel", 200), ("schlussel", 401)):
            async with (
                aiohttp.ClientSession(url, headers={"Authorization": f"Bearer {given}"}) as http,
                http.get("/api/users/002738") as response,
            ):
                assert response.status == expected


async def test_without_a_token_in_the_settings_the_routes_are_off(
    settings: Settings, queue: Queue
) -> None:
    off = settings.model_copy(update={"api_token": None, "secret_keys": None})
    async with (
        running_bridge(off, queue) as url,
        aiohttp.ClientSession(url, headers={"Authorization": "Bearer None"}) as http,
    ):
        answered, problem = await asked(http, "GET", "/api/users/")
        assert (answered, problem["reason"]) == (404, "api_off")
        assert (await asked(http, "GET", "/healthz"))[0] == 200
