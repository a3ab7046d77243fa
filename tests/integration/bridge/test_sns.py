"""`POST /sns`, over HTTP, as SNS does it."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from eagle_logger.settings import Settings
from eagle_logger.sns.message import MAX_BYTES
from eagle_logger.users.store import UserStore
from tests.integration.bridge.conftest import Confirmed, Queue
from tests.support.fake_sns import TOPIC, FakeSns, body, headers
from tests.support.polling import until
from tests.unit.sns.test_verifier import FALSE_SIGNATURES, FORGERIES
from workers.server.lifecycle import running_bridge


async def posted(
    http: aiohttp.ClientSession, data: bytes, **extra: str
) -> tuple[int, dict[str, Any]]:
    async with http.post(
        "/sns",
        data=io.BytesIO(data),
        headers={"Content-Type": "text/plain; charset=UTF-8", **extra},
    ) as response:
        answer: dict[str, Any] = await response.json(content_type=None)
        return response.status, answer


@pytest.mark.parametrize("version", ["1", "2"])
async def test_a_message_becomes_a_fetch(
    bridge: str, sns: FakeSns, queue: Queue, version: str
) -> None:
    for message in ('{"cloud_id": "002738"}', '{"cloud_ids": ["002738", "00CE69"]}', "ffffff"):
        assert await sns.deliver(
            f"{bridge}/sns", sns.notification(message, version=version, subject="ping")
        ) == [200]
    assert queue.messages == [["002738"], ["00ce69"], ["ffffff"]]


async def test_the_same_message_a_hundred_times_is_one_fetch(
    http: aiohttp.ClientSession, sns: FakeSns, queue: Queue
) -> None:
    message = body(sns.notification("002738"))
    answers = await asyncio.gather(*(posted(http, message) for _ in range(100)))
    assert [status for status, _ in answers] == [200] * 100
    assert sorted(answer["outcome"] for _, answer in answers) == ["queued", *["repeated"] * 99]
    assert queue.messages == [["002738"]]
    assert len(sns.fetched) == 1


async def test_a_flood_for_one_user_is_one_message_in_the_queue(
    http: aiohttp.ClientSession, sns: FakeSns, queue: Queue
) -> None:
    await asyncio.gather(*(posted(http, body(sns.notification("002738"))) for _ in range(50)))
    await posted(http, body(sns.notification("00ce69")))
    assert queue.messages == [["002738"], ["00ce69"]]


async def test_a_user_being_fetched_is_fetched_again_by_the_same_worker(
    http: aiohttp.ClientSession, sns: FakeSns, queue: Queue, store: UserStore
) -> None:
    await store.schedule.request(["002738"])
    await store.schedule.claim(["002738"], "a worker")
    assert await posted(http, body(sns.notification("002738"))) == (200, {"outcome": "marked"})
    assert queue.messages == []


async def test_unknown_users_are_logged_and_the_known_ones_are_fetched(
    http: aiohttp.ClientSession, sns: FakeSns, queue: Queue
) -> None:
    with capture_logs() as logged:
        status, _ = await posted(
            http, body(sns.notification('{"cloud_ids": ["abcdef", "002738", "nobody"]}'))
        )
    assert status == 200
    assert queue.messages == [["002738"]]
    line = next(line for line in logged if line["event"] == "sns_message")
    assert (line["unknown"], line["not_ids"], line["queued"]) == (("abcdef",), 1, ("002738",))
    assert await counted(http, "eagle_unknown_users_asked_total") == 2


async def counted(http: aiohttp.ClientSession, metric: str) -> float:
    async with http.get("/metrics") as response:
        lines = dict(
            line.rsplit(" ", 1)
            for line in (await response.text()).splitlines()
            if not line.startswith("#")
        )
    return float(lines[metric])


async def test_a_subscription_is_confirmed_after_the_answer(
    http: aiohttp.ClientSession, sns: FakeSns, confirmed: Confirmed
) -> None:
    fields = sns.confirmation(version="2")
    assert await posted(http, body(fields), **headers(fields)) == (200, {"outcome": "confirming"})
    assert await posted(http, body(fields)) == (200, {"outcome": "repeated"})
    await until(lambda: bool(confirmed.tokens))
    assert confirmed.tokens == [(TOPIC, fields["Token"])]


async def test_an_unsubscription_is_logged_and_nothing_else(
    http: aiohttp.ClientSession, sns: FakeSns, confirmed: Confirmed, queue: Queue
) -> None:
    with capture_logs() as logged:
        answer = await posted(http, body(sns.confirmation("UnsubscribeConfirmation")))
    assert answer == (200, {"outcome": "unsubscribed"})
    assert any("unsubscribed" in line["event"] for line in logged)
    assert confirmed.tokens == []
    assert queue.messages == []


async def test_every_forgery_is_refused_for_its_own_reason(
    http: aiohttp.ClientSession, sns: FakeSns, queue: Queue, confirmed: Confirmed
) -> None:
    await posted(
        http, body(sns.notification("ffffff"))
    )  # the genuine certificate is known from here on
    queue.messages.clear()
    forgeries: list[tuple[str, str, Callable[[FakeSns], bytes]]] = [
        *((name, str(reason), forge) for name, reason, forge in FORGERIES),
        *((name, "bad_signature", forge) for name, forge in FALSE_SIGNATURES),
    ]
    assert len(forgeries) > 25
    for name, reason, forge in forgeries:
        status, answer = await posted(http, forge(sns))
        assert (answer["reason"], answer["status"]) == (reason, status), name
        assert 400 <= status < 500, name
    for extra, reason in (
        ({"x-amz-sns-rawdelivery": "true"}, "raw_delivery"),
        ({"x-amz-sns-message-type": "UnsubscribeConfirmation"}, "type_mismatch"),
    ):
        status, answer = await posted(http, body(sns.notification("002738")), **extra)
        assert (status, answer["reason"]) == (400, reason)
    assert queue.messages == []
    assert confirmed.tokens == []
    assert len(sns.fetched) == 1
    assert await counted(http, 'eagle_sns_messages_total{outcome="bad_signature"}') == len(
        FALSE_SIGNATURES
    )


async def test_a_message_that_names_no_user_is_refused_for_good(
    http: aiohttp.ClientSession, sns: FakeSns, queue: Queue
) -> None:
    too_many = json.dumps({"cloud_ids": ["00ce69"] * 1001})
    for message, reason in (
        ("hello", "no_cloud_id"),
        ("{}", "no_cloud_id"),
        (too_many, "too_many_cloud_ids"),
    ):
        status, answer = await posted(http, body(sns.notification(message)))
        assert (status, answer["reason"]) == (400, reason)
    assert queue.messages == []


async def test_every_line_about_a_message_bears_its_id(
    http: aiohttp.ClientSession, sns: FakeSns, queue: Queue
) -> None:
    genuine = sns.notification("002738")
    forged = {**sns.notification("00ce69"), "Signature": "AAAA"}
    with capture_logs() as logged:
        await posted(http, body(forged))
        await posted(http, b"no JSON", **{"x-amz-sns-message-id": "only-in-the-header"})
        await posted(http, b"x" * (MAX_BYTES + 1), **{"x-amz-sns-message-id": "too-large"})
        queue.away = True
        await posted(http, body(genuine))
        queue.away = False
        await posted(http, body(genuine))
        await posted(http, body(genuine))
        await posted(
            http, body(sns.confirmation("UnsubscribeConfirmation", MessageId="unsubscribed"))
        )
    lines = [
        (line["message_id"], line["event"], line.get("reason"))
        for line in logged
        if line["event"] != "request"
    ]
    assert lines[:3] == [
        (forged["MessageId"], "sns_message_refused", "bad_signature"),
        ("only-in-the-header", "sns_message_refused", "not_json"),
        ("too-large", "sns_message_refused", "too_large"),
    ]
    assert [(name, event) for name, event, _ in lines[3:6]] == [
        (genuine["MessageId"], "answered_503"),
        (genuine["MessageId"], "sns_message"),
        (genuine["MessageId"], "sns_message"),
    ]
    assert lines[6][0] == "unsubscribed"
    assert all("message_id" in line for line in logged), "those of the requests too"
    about_the_fetch = [line for line in logged if line["event"] in {"answered_503", "sns_message"}]
    assert all("002738" in str(line) for line in about_the_fetch)


async def test_a_header_that_is_no_message_id_is_not_logged_as_one(
    http: aiohttp.ClientSession,
) -> None:
    with capture_logs() as logged:
        await posted(http, b"no JSON", **{"x-amz-sns-message-id": "no id, but a sentence"})
    assert not any("message_id" in line for line in logged)


async def test_while_the_broker_is_away_the_answer_is_503_and_a_retry_goes_through(
    http: aiohttp.ClientSession, sns: FakeSns, queue: Queue
) -> None:
    message = body(sns.notification("002738"))
    queue.away = True
    status, answer = await posted(http, message)
    assert (status, answer["reason"]) == (503, "unavailable")
    queue.away = False
    assert await posted(http, message) == (200, {"outcome": "queued"})
    assert queue.messages == [["002738"]]


async def test_while_the_certificates_host_is_away_the_answer_is_503_and_a_retry_goes_through(
    bridge: str, sns: FakeSns, queue: Queue
) -> None:
    sns.away = True
    delivery = asyncio.create_task(
        sns.deliver(f"{bridge}/sns", sns.notification("002738"), pause=0.01)
    )
    await until(lambda: bool(sns.fetched))
    sns.away = False
    statuses = await delivery
    assert statuses[0] == 503
    assert statuses[-1] == 200
    assert queue.messages == [["002738"]]


async def test_an_empty_allow_list_refuses_everything(
    settings: Settings, sns: FakeSns, queue: Queue
) -> None:
    closed = settings.model_copy(update={"sns_topic_arns": ()})
    async with running_bridge(closed, queue, fetch_certificate=sns.fetch_certificate) as url:
        assert await sns.deliver(f"{url}/sns", sns.notification("002738")) == [403]
    assert sns.fetched == []
