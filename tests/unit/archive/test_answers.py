"""Every answer that a store, or something in front of it, may give to each request, and what the
archive makes of it."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HeadersDict
from botocore.httpsession import URLLib3Session
from freezegun import freeze_time

from eagle_logger.archive.s3 import PROBE_KEY, S3Archive
from eagle_logger.errors import AlreadyThere, ArchiveUnavailable, NoConditionalWrites, NotAccepted

KEY = "cloud_id=002738/date=2026-03-10/002738-2026-03-10-17.jsonl.gz"
PAGE = b"<!DOCTYPE html><html><body>Log in to go on<br></body></html>"
NEAT_PAGE = b"<html><body><p>Welcome</p></body></html>"
SHA256 = base64.b64encode(hashlib.sha256(b"body").digest()).decode()


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def error(status: int, code: str) -> Answer:
    return Answer(
        status,
        f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>".encode(),
    )


class _Raw(io.BytesIO):
    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self.read()


class Wire:
    """Takes the place of the network: `answer` is asked for each request."""

    def __init__(self) -> None:
        self.sent: list[AWSPreparedRequest] = []
        self.answer: Callable[[AWSPreparedRequest], Answer] = lambda _: Answer()

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        self.sent.append(request)
        answer = self.answer(request)
        headers: Any = HeadersDict(answer.headers)
        response = AWSResponse(request.url, answer.status, headers, _Raw(answer.body))
        if not request.stream_output:
            _ = response.content
        return response


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    wire = Wire()
    monkeypatch.setattr(URLLib3Session, "send", lambda _, request: wire.send(request))
    monkeypatch.setattr("eagle_logger.archive.s3._CONFLICT_PAUSE_S", 0.0)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.0)
    return wire


@cache
def archive_at(**options: Any) -> S3Archive:
    """Made once for all tests, which takes a tenth of a second: it remembers nothing between two
    requests."""
    credentials = {
        "region": "eu-west-1",
        "access_key_id": "test-key",
        "secret_access_key": "not-a-secret",
    }
    return S3Archive(
        "s3://bucket/archive", **{"endpoint_url": "http://store.example", **credentials, **options}
    )


TROUBLE = [
    *(
        error(301, "PermanentRedirect"),
        error(307, "TemporaryRedirect"),
        error(400, "RequestTimeout"),
    ),
    *(
        error(400, "ExpiredToken"),
        error(400, "XAmzContentSHA256Mismatch"),
        error(403, "AccessDenied"),
    ),
    *(error(403, "QuotaExceeded"), error(405, "MethodNotAllowed"), error(408, "RequestTimeout")),
    *(error(409, "OperationAborted"), error(429, "TooManyRequests"), error(500, "InternalError")),
    *(error(503, "SlowDown"), error(507, "InsufficientStorage"), error(200, "InternalError")),
    *(Answer(403), Answer(502, PAGE), Answer(511, PAGE), Answer(400, PAGE)),
]
"""Answers that prove nothing, whatever the request was."""


@pytest.mark.parametrize(
    "answer", [*TROUBLE, Answer(200, PAGE), error(404, "NoSuchBucket"), Answer(404, PAGE)]
)
def test_a_put_with_an_unclear_answer_counts_as_away(wire: Wire, answer: Answer) -> None:
    wire.answer = lambda _: answer
    with pytest.raises(ArchiveUnavailable) as caught:
        archive_at().put(KEY, b"body", {})
    assert type(caught.value) is ArchiveUnavailable


@pytest.mark.parametrize(
    "answer", [error(412, "PreconditionFailed"), Answer(412), Answer(412, PAGE), Answer(304)]
)
def test_a_put_of_a_taken_key_raises_already_there(wire: Wire, answer: Answer) -> None:
    wire.answer = lambda _: answer
    with pytest.raises(AlreadyThere):
        archive_at().put(KEY, b"body", {})


@pytest.mark.parametrize("code", ["EntityTooLarge", "KeyTooLongError", "MetadataTooLarge"])
def test_a_put_that_is_refused_for_good_raises_not_accepted(wire: Wire, code: str) -> None:
    wire.answer = lambda _: error(400, code)
    with pytest.raises(NotAccepted, match=code):
        archive_at().put(KEY, b"body", {})


def test_a_probe_that_is_refused_for_good_counts_as_away(wire: Wire) -> None:
    wire.answer = lambda _: error(400, "KeyTooLongError")
    with pytest.raises(ArchiveUnavailable, match="KeyTooLongError"):
        archive_at().prove()


@pytest.mark.parametrize("checksums", ["when_supported", "when_required"])
@pytest.mark.parametrize(
    "answer",
    [
        error(501, "NotImplemented"),
        Answer(501),
        Answer(501, PAGE),
        error(400, "NotImplemented"),
        error(400, "InvalidArgument"),
        error(400, "InvalidRequest"),
    ],
)
def test_a_store_that_does_not_understand_the_condition_cannot_be_used(
    wire: Wire, answer: Answer, checksums: str
) -> None:
    wire.answer = lambda _: answer
    for use in (S3Archive.prove, lambda archive: archive.put(KEY, b"body", {})):
        with pytest.raises(
            NoConditionalWrites, match="no conditional writes and cannot be used"
        ) as caught:
            use(archive_at(checksums=checksums))
        assert "EAGLE_S3_CHECKSUMS" not in str(caught.value)


@pytest.mark.parametrize("without", [Answer(), error(412, "PreconditionFailed")])
def test_the_error_for_a_store_that_does_not_understand_the_checksum_names_the_setting(
    wire: Wire, without: Answer
) -> None:
    unknown = error(501, "NotImplemented")
    wire.answer = lambda request: unknown if "x-amz-checksum-sha256" in request.headers else without
    with pytest.raises(ArchiveUnavailable, match="set EAGLE_S3_CHECKSUMS=when_required") as caught:
        archive_at().put(KEY, b"body", {})
    assert type(caught.value) is ArchiveUnavailable
    assert all("If-None-Match" in request.headers for request in wire.sent)


def test_a_store_that_goes_away_after_a_refused_header_counts_as_away(wire: Wire) -> None:
    wire.answer = lambda request: (
        error(501, "NotImplemented")
        if "x-amz-checksum-sha256" in request.headers
        else error(503, "SlowDown")
    )
    with pytest.raises(ArchiveUnavailable, match="SlowDown"):
        archive_at().put(KEY, b"body", {})


@pytest.mark.parametrize("answer", [*TROUBLE[:-5], Answer(403), Answer(304), Answer(200)])
def test_any_other_answer_to_a_head_counts_as_away(wire: Wire, answer: Answer) -> None:
    wire.answer = lambda _: Answer(answer.status)
    with pytest.raises(ArchiveUnavailable):
        archive_at().head(KEY)


def test_a_head_whose_length_is_no_number_counts_as_away(wire: Wire) -> None:
    wire.answer = lambda _: Answer(headers={"Content-Length": "four"})
    with pytest.raises(ArchiveUnavailable, match="what no S3 answers"):
        archive_at().head(KEY)


@pytest.mark.parametrize(
    ("headers", "metadata", "has_digest"),
    [
        ({}, {}, False),
        ({"X-Amz-Meta-Plain-Sha256": "ab"}, {"plain-sha256": "ab"}, False),
        ({"x-amz-checksum-sha256": SHA256}, {}, True),
        ({"x-amz-checksum-sha256": f"{SHA256}-3"}, {}, False),
        ({"x-amz-checksum-sha256": hashlib.sha256(b"body").hexdigest()}, {}, False),
        ({"x-amz-checksum-sha256": "é"}, {}, False),
    ],
)
def test_a_head_gives_size_digest_and_metadata(
    wire: Wire, headers: dict[str, str], metadata: dict[str, str], has_digest: bool
) -> None:
    wire.answer = lambda _: Answer(headers={"Content-Length": "4", **headers})
    info = archive_at().head(KEY)
    assert info is not None
    assert (info.size, dict(info.metadata)) == (4, metadata)
    assert info.sha256 == (hashlib.sha256(b"body").hexdigest() if has_digest else None)


@pytest.mark.parametrize(
    "answer",
    [
        *TROUBLE,
        *(
            error(403, "InvalidObjectState"),
            error(404, "NoSuchBucket"),
            Answer(404),
            Answer(404, PAGE),
        ),
        *(Answer(304), Answer(200, PAGE), Answer(200, NEAT_PAGE), error(416, "InvalidRange")),
    ],
)
def test_any_other_answer_to_a_get_counts_as_away(wire: Wire, answer: Answer) -> None:
    """Rotation would otherwise repeat what an earlier part holds."""
    wire.answer = lambda _: answer
    with pytest.raises(ArchiveUnavailable):
        archive_at().get(KEY)


def test_a_get_of_a_missing_object_raises_key_error(wire: Wire) -> None:
    wire.answer = lambda _: error(404, "NoSuchKey")
    with pytest.raises(KeyError):
        archive_at().get(KEY)


def listing(*keys: str, more: str = "<IsTruncated>false</IsTruncated>") -> Answer:
    contents = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in keys)
    return Answer(
        200, f"<?xml version='1.0'?><ListBucketResult>{contents}{more}</ListBucketResult>".encode()
    )


@pytest.mark.parametrize(
    "answer",
    [
        *TROUBLE,
        *(
            Answer(200),
            Answer(200, PAGE),
            Answer(200, NEAT_PAGE),
            Answer(404, PAGE),
            error(404, "NoSuchBucket"),
        ),
        listing("archive/a", more=""),
        listing("archive/a", more="<IsTruncated>true</IsTruncated>"),
        listing(
            "archive/a", more="<IsTruncated>true</IsTruncated><NextMarker>archive/a</NextMarker>"
        ),
        listing(
            "archive/a",
            more="<IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>",
        ),
        listing("archive/b", "archive/a"),
        listing("archive/a", "archive/a"),
        listing("archive/a", "elsewhere/b"),
        listing("archive%2Fa"),
    ],
)
def test_a_listing_that_is_malformed_or_cut_off_counts_as_away(wire: Wire, answer: Answer) -> None:
    wire.answer = lambda _: answer
    with pytest.raises(ArchiveUnavailable):
        list(archive_at().keys())


@pytest.mark.parametrize(
    "answer", [*TROUBLE, Answer(200), Answer(200, PAGE), Answer(200, NEAT_PAGE)]
)
def test_a_ping_without_a_listing_counts_as_away(wire: Wire, answer: Answer) -> None:
    wire.answer = lambda _: answer
    with pytest.raises(ArchiveUnavailable):
        archive_at().ping()


class Store:
    """A store that answers `taken` to a put when there is such an object already, and replaces it
    or not. Of its first object `reads` are answered to a HEAD and a GET, if credentials."""

    def __init__(
        self,
        taken: Answer,
        *,
        replaces: bool,
        reads: tuple[Answer | None, Answer | None] = (None, None),
    ) -> None:
        self._taken = taken
        self._replaces = replaces
        self._reads = dict(zip(("HEAD", "GET"), reads, strict=True))
        self.held: dict[str, tuple[bytes, dict[str, str]]] = {}
        self.puts = 0

    def answer(self, request: AWSPreparedRequest) -> Answer:
        if request.method == "PUT":
            return self._put(request)
        if request.url not in self.held:
            return Answer(404)
        if request.url.endswith(PROBE_KEY) and (answer := self._reads[str(request.method)]):
            return answer
        body, headers = self.held[request.url]
        return Answer(
            200,
            body if request.method == "GET" else b"",
            {"Content-Length": str(len(body)), **headers},
        )

    def _put(self, request: AWSPreparedRequest) -> Answer:
        self.puts += 1
        assert request.headers["If-None-Match"] == b"*"
        is_taken = request.url in self.held
        if not is_taken or self._replaces:
            named = {
                name: _text(value)
                for name, value in request.headers.items()
                if name.startswith("x-amz-meta-")
            }
            self.held[request.url] = _body(request), named
        return self._taken if is_taken else Answer()


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _body(request: AWSPreparedRequest) -> bytes:
    body: Any = request.body
    return bytes(body if isinstance(body, bytes | bytearray) else body.getvalue())


@pytest.mark.parametrize("taken", [error(412, "PreconditionFailed"), Answer(304)])
def test_a_store_that_refuses_and_keeps_is_trusted(wire: Wire, taken: Answer) -> None:
    store = Store(taken, replaces=False)
    wire.answer = store.answer
    archive_at().prove()
    first = dict(store.held)
    archive_at().prove()
    assert (store.held, len(first), store.puts) == (first, 1, 4)


@pytest.mark.parametrize(
    ("taken", "replaces"),
    [
        (Answer(200), True),
        (Answer(200), False),
        (Answer(204), True),
        (error(412, "PreconditionFailed"), True),
        (Answer(304), True),
    ],
)
def test_a_store_that_replaces_objects_is_not_trusted(
    wire: Wire, taken: Answer, *, replaces: bool
) -> None:
    wire.answer = Store(taken, replaces=replaces).answer
    with pytest.raises(
        NoConditionalWrites, match="this store has no conditional writes and cannot be used"
    ):
        archive_at().prove()


UNREADABLE = [
    (None, error(403, "InvalidObjectState")),
    (None, error(403, "KMS.DisabledException")),
    (error(403, "AccessDenied"), error(403, "AccessDenied")),
    (None, error(404, "NoSuchKey")),
    (None, Answer(200, b"other", {"Content-Length": "5", "x-amz-checksum-sha256": SHA256})),
]
"""Answers to a HEAD and to a GET of a probe that became unreadable in the course of the years."""


@pytest.mark.parametrize("reads", UNREADABLE)
def test_a_probe_that_cannot_be_read_any_more_is_followed_by_one_of_the_day(
    wire: Wire, reads: tuple[Answer | None, Answer | None]
) -> None:
    store = Store(error(412, "PreconditionFailed"), replaces=False, reads=reads)
    wire.answer = store.answer
    with freeze_time("2026-03-10T18:00:00Z"):
        archive_at().prove()
        archive_at().prove()
    assert [url.partition("/archive/")[2] for url in store.held] == [
        "doctor/probe.txt",
        "probe/2026-03-10.txt",
    ]


@pytest.mark.parametrize("reads", UNREADABLE)
def test_a_store_that_replaces_an_unreadable_object_is_not_trusted(
    wire: Wire, reads: tuple[Answer | None, Answer | None]
) -> None:
    wire.answer = Store(error(412, "PreconditionFailed"), replaces=True, reads=reads).answer
    with pytest.raises(NoConditionalWrites):
        archive_at().prove()


@pytest.mark.parametrize(
    "taken", [error(409, "ConditionalRequestConflict"), error(503, "SlowDown")]
)
def test_a_store_that_does_not_answer_the_proof_counts_as_away(wire: Wire, taken: Answer) -> None:
    wire.answer = Store(taken, replaces=False).answer
    with pytest.raises(ArchiveUnavailable) as caught:
        archive_at().prove()
    assert not isinstance(caught.value, NoConditionalWrites)


def test_a_store_that_refuses_a_free_key_counts_as_away(wire: Wire) -> None:
    wire.answer = lambda request: (
        error(412, "PreconditionFailed") if request.method == "PUT" else Answer(404)
    )
    with pytest.raises(ArchiveUnavailable, match="no such object"):
        archive_at().prove()


def test_a_server_that_redirects_everything_is_not_followed_for_ever(wire: Wire) -> None:
    wire.answer = lambda _: Answer(301, PAGE, {"Location": "https://store.example/"})
    with pytest.raises(ArchiveUnavailable, match="EAGLE_S3_ENDPOINT_URL"):
        archive_at().put(KEY, b"body", {})
    assert [request.method for request in wire.sent] == ["PUT", "HEAD"]


def test_a_bucket_in_another_region_is_followed_there(wire: Wire) -> None:
    elsewhere = Answer(301, headers={"x-amz-bucket-region": "eu-west-1"})
    wire.answer = lambda request: elsewhere if "eu-central-1" in request.url else Answer()
    archive = archive_at(endpoint_url=None, region="eu-central-1")
    archive.put(KEY, b"body", {})
    archive.put(KEY, b"body", {})
    assert [request.url.split("/")[2] for request in wire.sent] == [
        "bucket.s3.eu-central-1.amazonaws.com",
        "bucket.s3.eu-west-1.amazonaws.com",
        "bucket.s3.eu-west-1.amazonaws.com",
    ]
