"""The OpenAPI document describes the server: every route is in it, and schemathesis finds no
difference between the two."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from eagle_logger import wiring
from eagle_logger.settings import Settings, load
from eagle_logger.users.cipher import new_key
from tests.support.fake_sns import TOPIC
from tests.support.redis_server import RedisServer
from workers.server.app import ROUTES
from workers.server.lifecycle import running_bridge
from workers.server.openapi import document

TOKEN = "a token for tests"


async def make_ready(settings: Settings) -> None:
    store = wiring.user_store(settings, passwords=False)
    await store.fleet.note_progress("dispatch", {})
    await store.fleet.note_progress("fetch@host", {})
    await store.close()


@pytest.fixture(scope="module")
def bridge_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A whole bridge, on a loop in a thread of its own."""
    directory = tmp_path_factory.mktemp("bridge")
    with RedisServer(directory) as redis:
        settings = load(
            directory,
            redis_url=redis.url,
            sns_topic_arns=(TOPIC,),
            api_token=TOKEN,
            secret_keys=new_key(),
            bridge_port=0,
        )
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        context = running_bridge(settings, lambda _: None)
        try:
            asyncio.run_coroutine_threadsafe(make_ready(settings), loop).result(10)
            yield asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(10)
            asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(10)
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


OPERATIONS = [
    (path, method)
    for path, item in document()["paths"].items()
    for method in item
    if method != "parameters"
]


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize(
    ("path", "method"), OPERATIONS, ids=[f"{method} {path}" for path, method in OPERATIONS]
)
def test_the_server_does_what_the_document_says(
    bridge_url: str, path: str, method: str, mode: GenerationMode
) -> None:
    api = schemathesis.openapi.from_dict(document())
    api.config.update(base_url=bridge_url, headers={"Authorization": f"Bearer {TOKEN}"})
    # A document cannot describe a signature, so the server refuses every message made up from it.
    excluded: list[Any] = [positive_data_acceptance] if path == "/sns" else []

    @hypothesis.given(case=api[path][method].as_strategy(generation_mode=mode))
    @hypothesis.settings(
        max_examples=25,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    def agree(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(excluded_checks=excluded)

    try:
        agree()
    except Unsatisfiable:
        # A route that takes nothing cannot get a wrong request.
        assert mode is GenerationMode.NEGATIVE


def test_every_route_is_in_the_document() -> None:
    documented = {path: set(item) - {"parameters"} for path, item in document()["paths"].items()}
    served = {
        re.sub(r"\(.*?\)", "{cloud_id}", pattern): {
            name.lower() for name in handler.allowed_methods()
        }
        for pattern, handler in ROUTES
    }
    assert documented == served


def test_no_schema_lets_a_password_out() -> None:
    schemas = document()["components"]["schemas"]
    assert [
        name for name, schema in schemas.items() if "user_pw" in schema.get("properties", {})
    ] == ["UserBody"]
    assert schemas["UserBody"]["properties"]["user_pw"]["writeOnly"] is True
