"""A request that is made directly against the one that botocore's client makes of the same, wherever the archive is."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session
from freezegun import freeze_time

from eagle_logger.archive.s3 import S3Archive
from eagle_logger.errors import AlreadyThere, ArchiveUnavailable

KEY = "cloud_id=002738/date=2026-03-10/002738-2026-03-10-17.jsonl.gz"
METADATA = {"rows": "3", "plain-sha256": "ab" * 32}
BY_THE_CLIENT = {"amz-sdk-invocation-id", "amz-sdk-request"}
"""Headers that only botocore's client sends."""
INDIFFERENT = {"Content-Length", "Host", "User-Agent"}
"""Headers that the connection adds where they are not given, and one that counts what botocore has been used for."""


class _Raw(io.BytesIO):
    def stream(self) -> Iterator[bytes]:
        yield self.read()


def answer_of(request: AWSPreparedRequest, status: int, headers: Any, body: bytes = b"") -> AWSResponse:
    return AWSResponse(request.url, status, headers, _Raw(body))


class Wire:
    """Takes the place of the network: notes what is sent, and answers with the next of `answers`, at last always with 200."""

    def __init__(self) -> None:
        self.sent: list[AWSPreparedRequest] = []
        self.answers: list[int | tuple[int, bytes] | Exception] = []

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        self.sent.append(request)
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, Exception):
            raise answer
        status, body = answer if isinstance(answer, tuple) else (answer, b"")
        return answer_of(request, status, {"Content-Length": "4", "x-amz-meta-rows": "3"}, body)

    def is_direct(self) -> list[bool]:
        return [not BY_THE_CLIENT & set(request.headers) for request in self.sent]


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    wire = Wire()
    monkeypatch.setattr(URLLib3Session, "send", lambda _, request: wire.send(request))
    monkeypatch.setattr("eagle_logger.archive.direct._PAUSE", 0.0)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.0)
    return wire


def archive_at(url: str = "s3://bucket/archive", **options: Any) -> S3Archive:
    given = {"region": "eu-west-1", "access_key_id": "test-key", "secret_access_key": "not-a-secret"}
    return S3Archive(url, **{**given, **options})


def headers_of(request: AWSPreparedRequest) -> dict[str, str]:
    texts = {name: value.decode() if isinstance(value, bytes) else str(value) for name, value in request.headers.items()}
    return {name: text for name, text in texts.items() if name not in BY_THE_CLIENT | INDIFFERENT}


def body_of(request: AWSPreparedRequest) -> bytes:
    body: Any = request.body
    return body.getvalue() if isinstance(body, io.BytesIO) else body or b""


@pytest.mark.parametrize("url", ["s3://bucket", "s3://dotted.bucket/archive", "s3://bucket/pré fix/~a+b=c&d%20e@f"])
@pytest.mark.parametrize(
    ("options", "environment"),
    [
        ({}, {}),
        ({"region": "us-east-1"}, {}),
        ({"region": "cn-north-1"}, {"AWS_USE_DUALSTACK_ENDPOINT": "true"}),
        ({"region": "us-east-2"}, {"AWS_USE_FIPS_ENDPOINT": "true"}),
        ({"access_key_id": None, "secret_access_key": None}, {"AWS_SESSION_TOKEN": "not-a-token"}),
        ({"endpoint_url": "http://127.0.0.1:9000"}, {}),
        ({"endpoint_url": "http://127.0.0.1:9000", "checksums": "when_required"}, {}),
        ({"endpoint_url": "https://store.example/some/path"}, {}),
        ({"endpoint_url": "http://[::1]:9000"}, {}),
    ],
)
def test_it_is_the_same(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, url: str, options: dict[str, Any], environment: dict[str, str]
) -> None:
    for name, text in {"AWS_ACCESS_KEY_ID": "test-key", "AWS_SECRET_ACCESS_KEY": "not-a-secret", **environment}.items():
        monkeypatch.setenv(name, text)
    with freeze_time("2026-03-10T18:00:00Z"):
        asks: list[Callable[[S3Archive], Any]] = [lambda one: one.put(KEY, b"body", METADATA), lambda one: one.head(KEY)]
        for ask in asks:
            archive = archive_at(url, **options)
            ask(archive)
            ask(archive)
            theirs, ours = wire.sent
            assert wire.is_direct() == [False, True]
            assert (ours.method, ours.url, body_of(ours)) == (theirs.method, theirs.url, body_of(theirs))
            assert headers_of(ours) == headers_of(theirs)
            wire.sent.clear()


def test_what_a_head_says_is_the_same(wire: Wire) -> None:
    archive = archive_at()
    theirs, ours = archive.head(KEY), archive.head(KEY)
    assert wire.is_direct() == [False, True]
    assert ours == theirs
    assert ours is not None
    assert (ours.size, ours.metadata) == (4, {"rows": "3"})


@pytest.mark.parametrize(
    "odd",
    [
        500,
        503,
        403,
        409,
        301,
        307,
        404,
        (200, b"<Error><Code>InternalError</Code></Error>"),
        ConnectionClosedError(endpoint_url="http://x"),
    ],
)
def test_after_an_odd_answer_the_client_asks_and_is_followed_again(wire: Wire, odd: Any) -> None:
    archive = archive_at()
    archive.put(KEY, b"body", {})
    wire.answers = [odd]
    for _ in range(2):
        archive.put(KEY, b"body", {})
    assert wire.is_direct() == [False, True, False, True]


def test_a_head_that_breaks_off_is_asked_again(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = archive_at()
    archive.head(KEY)
    whole = wire.send
    left: list[dict[str, str]] = [{}]

    def send(request: AWSPreparedRequest) -> AWSResponse:
        answer = whole(request)
        return answer_of(request, 200, left.pop()) if left else answer

    monkeypatch.setattr(wire, "send", send)
    found = archive.head(KEY)
    assert found is not None
    assert found.size == 4
    assert wire.is_direct() == [False, True, False]


def test_a_key_that_is_taken_needs_no_second_question(wire: Wire) -> None:
    archive = archive_at()
    archive.put(KEY, b"body", {})
    wire.answers = [412]
    with pytest.raises(AlreadyThere):
        archive.put(KEY, b"body", {})
    wire.answers = [404]
    assert archive.head(KEY) is None
    assert wire.is_direct() == [False, True, True]


def test_where_nothing_is_answered_nothing_is_followed(wire: Wire) -> None:
    archive = archive_at()
    wire.answers = [503] * 3
    with pytest.raises(ArchiveUnavailable):
        archive.put(KEY, b"body", {})
    archive.put(KEY, b"body", {})
    assert wire.is_direct() == [False] * 4


def test_a_bucket_in_another_region_is_followed_there(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    def send(request: AWSPreparedRequest) -> AWSResponse:
        wire.sent.append(request)
        elsewhere = "eu-central-1" in request.url
        return answer_of(request, 301 if elsewhere else 200, {"x-amz-bucket-region": "eu-west-1"})

    monkeypatch.setattr(wire, "send", send)
    archive = archive_at(region="eu-central-1")
    archive.put(KEY, b"body", {})
    archive.put(KEY, b"body", {})
    assert wire.is_direct() == [False, False, True]
    assert [request.url.split("/")[2] for request in wire.sent] == [
        "bucket.s3.eu-central-1.amazonaws.com",
        "bucket.s3.eu-west-1.amazonaws.com",
        "bucket.s3.eu-west-1.amazonaws.com",
    ]
    assert "/eu-west-1/s3/aws4_request" in headers_of(wire.sent[-1])["Authorization"]
