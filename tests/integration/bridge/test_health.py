from __future__ import annotations

from pathlib import Path

import aiohttp

from eagle_logger.settings import Settings
from eagle_logger.users.store import UserStore
from tests.integration.bridge.conftest import Queue
from tests.support.polling import until
from tests.support.redis_server import RedisServer
from workers.server.lifecycle import running_bridge


async def checks(http: aiohttp.ClientSession) -> tuple[int, dict[str, str]]:
    async with http.get("/readyz") as response:
        answer = await response.json(content_type=None)
        assert answer["ready"] == (response.status == 200)
        return response.status, answer["checks"]


async def test_the_system_is_ready_once_it_makes_progress(
    http: aiohttp.ClientSession, store: UserStore
) -> None:
    status, findings = await checks(http)
    assert status == 503
    assert findings["redis"] == "ok"
    assert "beat" in findings["dispatch"]
    await store.fleet.note_progress("dispatch", {})
    assert "no fetching process" in (await checks(http))[1]["workers"]
    await store.fleet.note_progress("fetch@host", {})
    assert await checks(http) == (
        200,
        {"redis": "ok", "dispatch": "ok", "workers": "ok", "fetches": "ok"},
    )


async def test_workers_that_report_and_consume_nothing_make_the_system_not_ready(
    settings: Settings, store: UserStore
) -> None:
    await store.fleet.note_progress("dispatch", {})
    await store.fleet.note_progress("fetch@host", {})
    await store.schedule.request(["002738"])
    async with (
        running_bridge(settings, Queue(), workers_silent_after_s=0.05) as url,
        aiohttp.ClientSession(url) as http,
    ):

        async def stalled() -> bool:
            await store.fleet.note_progress("fetch@host", {})
            status, findings = await checks(http)
            return status == 503 and "none was fetched" in findings["fetches"]

        await until(stalled)
        await store.fleet.count({"fetches": 1})
        assert (await checks(http))[1]["fetches"] == "ok"


async def test_metrics_name_no_user(http: aiohttp.ClientSession, store: UserStore) -> None:
    await store.fleet.count({"fetches": 3})
    async with http.get("/metrics") as response:
        assert response.status == 200
        assert response.content_type == "text/plain"
        text = await response.text()
    assert "eagle_fetches_total 3.0" in text
    assert 'eagle_messages_waiting{queue="adhoc"} 0.0' in text
    assert 'eagle_users{state="due"} 3.0' in text
    assert not any(cloud_id in text for cloud_id in ("00ce69", "002738", "ffffff"))


async def test_the_first_page_names_the_routes(http: aiohttp.ClientSession) -> None:
    async with http.get("/") as response:
        assert (response.status, response.content_type) == (200, "text/html")
        assert "Server" not in response.headers
        assert "/metrics" in await response.text()


async def test_every_route_says_that_redis_is_away(settings: Settings, tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        there = settings.model_copy(update={"redis_url": server.url})
        token = settings.api_token.get_secret_value() if settings.api_token else ""
        async with (
            running_bridge(there, Queue()) as url,
            aiohttp.ClientSession(url, headers={"Authorization": f"Bearer {token}"}) as http,
        ):
            server.kill()
            assert await checks(http) == (503, {"redis": "does not answer"})
            async with http.get("/metrics") as response:
                assert "eagle_redis_up 0.0" in await response.text()
            for method, path in (("GET", "/api/users/"), ("POST", "/api/event/002738")):
                async with http.request(method, path) as response:
                    assert (response.status, response.headers["Retry-After"]) == (503, "1")
            async with http.get("/healthz") as response:
                assert response.status == 200
