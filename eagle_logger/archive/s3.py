"""The archive in S3, or in a store with S3's API.

Stores differ in their answers, so this module checks each one. An answer that S3 would not give
counts as no answer: it is never taken for a missing object, an empty listing or an object's bytes.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import time
import uuid
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3.session
import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    FlexibleChecksumError,
    IncompleteReadError,
    NoCredentialsError,
    ResponseStreamingError,
)
from botocore.parsers import ResponseParserError

from eagle_logger.archive.archive import NOT_USABLE, ObjectInfo
from eagle_logger.core.sealing import LARGEST_OBJECT, why_too_large
from eagle_logger.errors import (
    AlreadyThere,
    ArchiveUnavailable,
    EagleError,
    NoConditionalWrites,
    NotAccepted,
    Unreadable,
)

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import ListObjectsV2OutputTypeDef

PROBE_KEY = "doctor/probe.txt"
"""The object that the proof leaves behind, since nothing is ever deleted. An object that is already
there serves as well."""
_PROBE_OF_A_DAY = "probe/{0.tm_year}-{0.tm_mon:02}-{0.tm_mday:02}.txt"
"""Used when `PROBE_KEY` cannot be read: it moved to a slow storage class, or its encryption key is
gone."""

_ATTEMPTS = 3
"""For each request, by botocore; as often for what it does not repeat: a conditional conflict, a
body that breaks off."""
_CONNECT, _READ = 3.0, 10.0
"""Seconds to wait for a connection, and for the next bytes. Objects are small, and a rotator that
is told to stop waits for its requests."""
_CONFLICT_PAUSE = 0.05
_THIS_MACHINE = frozenset({"127.0.0.1", "localhost", "::1"})
_NEVER = frozenset(
    {"EntityTooLarge", "KeyTooLongError", "MetadataTooLarge", "InvalidObjectName", "InvalidURI"}
)
_TAKEN = frozenset({304, 412})
"""Statuses that refuse a conditional put because the object exists. S3 answers 412; some stores
answer 304."""
_NOT_UNDERSTOOD = frozenset({"NotImplemented", "501", "InvalidRequest", "InvalidArgument"})
"""Codes with which a store refuses a header that it does not know or does not allow."""
_CONFLICTS = frozenset({"ConditionalRequestConflict", "OperationAborted"})
_MISSING = 404
_GZIP = "application/gzip"
_PAGE_BEGINS = b"<"
"""XML and HTML begin with this, and no archived object does. Some stores and proxies send an error
page with status 200."""
_SHA256_BYTES = 32
_RIGHTS = "give these credentials s3:PutObject, s3:GetObject and s3:ListBucket there"
_ELSEWHERE = "the bucket is elsewhere: correct EAGLE_AWS_REGION, or EAGLE_S3_ENDPOINT_URL (https?)"
_ADVICE = {
    "AccessDenied": _RIGHTS,
    "403": _RIGHTS,
    "InvalidAccessKeyId": "correct EAGLE_AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "correct EAGLE_AWS_SECRET_ACCESS_KEY",
    "ExpiredToken": "renew the credentials",
    "InvalidObjectState": "the object is in a storage class that is not read at once: restore it",
    "RequestTimeTooSkewed": "set this machine's clock",
    "NoSuchBucket": "create the bucket, or correct EAGLE_ARCHIVE_URL",
    **dict.fromkeys(
        ("PermanentRedirect", "TemporaryRedirect", "301", "302", "307", "308"), _ELSEWHERE
    ),
    "QuotaExceeded": "give the bucket more room",
}


class S3Archive:
    """`url` is `s3://bucket/prefix`. Without a key id, boto3's own chain of credentials is used.

    `checksums` is `when_supported` (a SHA-256 with every object, checked by the store and told by
    `head`) or `when_required` (for stores that refuse those headers: Content-MD5 guards the way in,
    and `head` tells no digest).
    """

    def __init__(
        self,
        url: str,
        *,
        endpoint_url: str | None = None,
        region: str | None = None,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        checksums: str = "when_supported",
        connections: int = 32,
    ) -> None:
        parts = urlsplit(url)
        self._bucket = parts.netloc
        self._prefix = f"{parts.path.strip('/')}/" if parts.path.strip("/") else ""
        self._with_digest = checksums == "when_supported"
        self._without_digest = partial(
            S3Archive,
            url,
            endpoint_url=endpoint_url,
            region=region,
            access_key_id=access_key_id,
            secret_access_key=secret_access_key,
            checksums="when_required",
            connections=1,
        )
        config = Config(
            connect_timeout=_CONNECT,
            read_timeout=_READ,
            max_pool_connections=connections,
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
            request_checksum_calculation="when_supported" if self._with_digest else "when_required",
            response_checksum_validation="when_supported" if self._with_digest else "when_required",
            s3={"addressing_style": "path" if endpoint_url else "auto"},
            parameter_validation=False,
        )
        session = boto3.session.Session(
            access_key_id, secret_access_key, region_name=region, botocore_session=_botocore()
        )
        self._client: S3Client = session.client("s3", endpoint_url=endpoint_url, config=config)
        self._client.meta.events.register_last("before-call.s3", _do_not_ask_first)
        self._client.meta.events.register("before-call.s3.HeadBucket", _do_not_redirect)

    @property
    def url(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def put(self, key: str, body: bytes, metadata: Mapping[str, str]) -> None:
        for attempt in range(_ATTEMPTS):
            with self._unavailable_on_error():
                try:
                    return self._put(key, body, metadata)
                except ClientError as exc:
                    code = _code(exc)
                    if _status(exc) in _TAKEN:
                        raise AlreadyThere from None
                    if code in _NEVER:
                        raise NotAccepted(f"{self.url} will never take {key}: {code}") from None
                    if code in _NOT_UNDERSTOOD:
                        raise self._what_is_not_understood(code) from None
                    if code not in _CONFLICTS or attempt == _ATTEMPTS - 1:
                        raise
            time.sleep(_CONFLICT_PAUSE * 2**attempt)
        return None

    def head(self, key: str) -> ObjectInfo | None:
        mode: Any = {"ChecksumMode": "ENABLED"} if self._with_digest else {}
        with self._unavailable_on_error():
            try:
                found = self._client.head_object(
                    Bucket=self._bucket, Key=self._prefix + key, **mode
                )
            except ClientError as exc:
                if _status(exc) == _MISSING:  # an answer to HEAD has no body that could say more
                    return None
                raise
            if "ContentLength" not in found:
                raise ArchiveUnavailable(f"{self.url} does not say how large {key} is")
            metadata = {name.lower(): value for name, value in found.get("Metadata", {}).items()}
            return ObjectInfo(found["ContentLength"], _hex(found.get("ChecksumSHA256")), metadata)

    def get(self, key: str) -> bytes:
        with self._unavailable_on_error():
            for _ in range(_ATTEMPTS - 1):
                # botocore repeats the request, but not the reading of a body that breaks off
                with contextlib.suppress(IncompleteReadError, ResponseStreamingError):
                    return self._body(key)
            return self._body(key)

    def keys(self, prefix: str = "") -> Iterator[str]:
        wanted, last, after = self._prefix + prefix, "", ""
        while True:
            with self._unavailable_on_error():
                page = self._page(wanted, {"ContinuationToken": after} if after else {})
            for found in page.get("Contents", ()):
                if not found["Key"].startswith(wanted) or found["Key"] <= last:
                    raise ArchiveUnavailable(
                        f"{self.url} lists keys that were not asked for, or lists them out of order"
                    )
                last = found["Key"]
                yield last.removeprefix(self._prefix)
            if not page["IsTruncated"]:
                return
            after, before = page.get("NextContinuationToken", ""), after
            if after in {"", before}:
                raise ArchiveUnavailable(
                    f"{self.url} lists only a part of its keys, and does not say where the rest begins"
                )

    def ping(self) -> None:
        with self._unavailable_on_error():
            self._page(self._prefix, {"MaxKeys": 1})

    def prove(self) -> None:
        """Put the probe twice. It is never deleted, so from the second time on both puts are
        refused."""
        trouble: EagleError
        for key in (PROBE_KEY, _PROBE_OF_A_DAY.format(time.gmtime())):
            with contextlib.suppress(AlreadyThere):
                _put_probe(self, key)
            try:
                return self._prove_with(key, self._probe(key))
            except NoConditionalWrites:
                raise
            except (ArchiveUnavailable, Unreadable) as exc:
                trouble = exc
        raise ArchiveUnavailable(str(trouble))

    def _prove_with(self, key: str, before: tuple[ObjectInfo, bytes]) -> None:
        try:
            _put_probe(self, key)
        except AlreadyThere:
            if self._probe(key) == before:
                return
            raise NoConditionalWrites(
                f"{NOT_USABLE}: {self.url} refuses a second put, and replaces the object"
            ) from None
        raise NoConditionalWrites(f"{NOT_USABLE}: {self.url} accepts a put that replaces an object")

    def _probe(self, key: str) -> tuple[ObjectInfo, bytes]:
        """What HEAD and GET answer for this key. Raises ArchiveUnavailable if there is no such
        object."""
        found = self.head(key)
        with contextlib.suppress(KeyError):
            if found is not None:
                return found, self.get(key)
        raise ArchiveUnavailable(
            f"{self.url} accepted {key}, and then answered that there is no such object"
        )

    def _what_is_not_understood(self, code: str) -> ArchiveUnavailable:
        """The error to raise: the store refuses either the condition or the checksum. A put without
        a checksum shows which."""
        refusal = NoConditionalWrites(
            f"{NOT_USABLE}: {self.url} answers {code} to a put with If-None-Match: *"
        )
        if not self._with_digest:
            return refusal
        try:
            with contextlib.suppress(AlreadyThere):
                _put_probe(self._without_digest())
        except ArchiveUnavailable as exc:
            return refusal if isinstance(exc, NoConditionalWrites) else exc
        return ArchiveUnavailable(
            f"{self.url} answered {code}: it knows no checksum headers; set EAGLE_S3_CHECKSUMS=when_required"
        )

    def _body(self, key: str) -> bytes:
        stream, size = self._stream(key)
        try:
            body = _whole(stream, size)
        except Unreadable:
            stream.close()  # the rest of it is not read
            raise
        if body[:1] == _PAGE_BEGINS:
            raise ArchiveUnavailable(f"{self.url} gave a page for {key}, not the object")
        return body

    def _stream(self, key: str) -> tuple[StreamingBody, int]:
        """An object's stream, and the size that the store gives; 0 if it gives none."""
        try:
            found = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
            return found["Body"], found.get("ContentLength", 0)
        except ClientError as exc:
            if _code(exc) == "NoSuchKey":
                raise KeyError(key) from None
            raise

    def _page(self, prefix: str, options: Any) -> ListObjectsV2OutputTypeDef:
        page = self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix, **options)
        if "IsTruncated" not in page:
            raise ArchiveUnavailable(f"{self.url} gave a page that is no listing")
        return page

    def _put(self, key: str, body: bytes, metadata: Mapping[str, str]) -> None:
        guard: Any = self._guard(body)
        self._client.put_object(
            Bucket=self._bucket,
            Key=self._prefix + key,
            Body=body,
            ContentType=_GZIP,
            IfNoneMatch="*",
            Metadata=metadata,
            **guard,
        )

    def _guard(self, body: bytes) -> dict[str, str]:
        """The checksum that the store compares the body with."""
        if self._with_digest:
            return {"ChecksumSHA256": _base64(hashlib.sha256(body))}
        return {"ContentMD5": _base64(hashlib.md5(body, usedforsecurity=False))}

    @contextlib.contextmanager
    def _unavailable_on_error(self) -> Iterator[None]:
        """Say what to do, in our own words: the library's may carry more than anybody should read
        in a log."""
        try:
            yield
        except ClientError as exc:
            code = _code(exc)
            locked = (
                "let these credentials use the key that the object was encrypted with"
                if code.startswith("KMS.")
                else None
            )
            advice = locked or _ADVICE.get(
                code, "rotation tries again, nothing is deleted meanwhile"
            )
            raise ArchiveUnavailable(f"{self.url} answered {code}: {advice}") from None
        except (ResponseParserError, ValueError) as exc:
            raise ArchiveUnavailable(
                f"{self.url} answered what no S3 answers ({type(exc).__name__}): is EAGLE_S3_ENDPOINT_URL right?"
            ) from None
        except FlexibleChecksumError:
            raise Unreadable(f"an object in {self.url} is not what its own checksum says") from None
        except NoCredentialsError:
            raise ArchiveUnavailable(
                f"no credentials for {self.url}: set EAGLE_AWS_ACCESS_KEY_ID and EAGLE_AWS_SECRET_ACCESS_KEY"
            ) from None
        except BotoCoreError as exc:
            raise ArchiveUnavailable(
                f"{self.url} does not answer ({type(exc).__name__}): {_why_silent(self._client.meta.endpoint_url)}"
            ) from None


def _whole(stream: StreamingBody, size: int) -> bytes:
    """Raises Unreadable for an object that is too large, or whose announced size is."""
    body, pieces = max(0, size), list[bytes]()
    while (why := why_too_large(body)) is None:
        piece = stream.read(
            LARGEST_OBJECT + 1
        )  # read until the end, because botocore checks the whole only there
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
        body = sum(map(len, pieces))
    raise Unreadable(why)


def _put_probe(archive: S3Archive, key: str = PROBE_KEY) -> None:
    """Put bytes that were never put before, so that a replaced object shows."""
    mark = uuid.uuid4().hex
    body = f"eagle-logger proves here that nothing is replaced: {mark}\n"
    try:
        archive.put(key, body.encode(), {"mark": mark})
    except NotAccepted as exc:  # a refused probe must not count as a refused reading
        raise ArchiveUnavailable(str(exc)) from None


def _botocore() -> botocore.session.Session:
    """One that leaves the times in answers as they were sent: nobody looks at them, and a page of a
    listing has a thousand."""
    session = botocore.session.Session()
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=str)
    return session


def _why_silent(endpoint_url: str) -> str:
    if urlsplit(endpoint_url).hostname in _THIS_MACHINE:
        return f"start what should be at {endpoint_url} (`eagle-logger up --homes N` plays it), or correct EAGLE_S3_ENDPOINT_URL"
    return "is the network up, and EAGLE_S3_ENDPOINT_URL right?"


def _do_not_ask_first(params: dict[str, Any], **_: Any) -> None:
    """Send the body at once: asking whether it is welcome costs a round trip, and is meant for
    bodies far larger than ours."""
    params["headers"].pop("Expect", None)


def _do_not_redirect(params: dict[str, Any], **_: Any) -> None:
    """Keep botocore from following a second redirect. After the first it asks for the bucket's
    region; if that request is redirected too, botocore asks again, and a server that redirects
    everything would fill Python's stack."""
    params["context"]["s3_redirect"]["redirected"] = True


def _code(refused: ClientError) -> str:
    return str(refused.response.get("Error", {}).get("Code", "an error without a code"))


def _status(refused: ClientError) -> int:
    return refused.response["ResponseMetadata"]["HTTPStatusCode"]


def _base64(digest: hashlib._Hash) -> str:
    return base64.b64encode(digest.digest()).decode()


def _hex(checksum: str | None) -> str | None:
    """A checksum of the whole object, as hex. None for any other: a multipart upload's (`…-3`)
    covers the parts' checksums, not the object's bytes; another store's may be no SHA-256 in
    base64."""
    try:
        digest = base64.b64decode(checksum or "", validate=True)
    except ValueError:
        return None
    return digest.hex() if len(digest) == _SHA256_BYTES else None
