"""The archive in S3, or in a store that speaks like it."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import time
from collections.abc import Iterator, Mapping
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

from eagle_logger.archive.archive import ObjectInfo
from eagle_logger.archive.direct import MISSING, OK, TAKEN, Direct
from eagle_logger.errors import AlreadyThere, ArchiveUnavailable, NotAccepted, Unreadable

if TYPE_CHECKING:
    from botocore.awsrequest import AWSResponse
    from botocore.response import StreamingBody
    from types_boto3_s3 import S3Client

_ATTEMPTS = 3
"""For each request, by botocore; as often for what it does not repeat: a conditional conflict, a body that breaks off."""
_CONNECT, _READ = 3.0, 10.0
"""Seconds to wait for a connection, and for the next bytes. Objects are small, and a rotator that is told to stop waits for its
requests."""
_CONFLICT_PAUSE = 0.05
_THIS_MACHINE = frozenset({"127.0.0.1", "localhost", "::1"})
_NEVER = frozenset({"EntityTooLarge", "KeyTooLongError", "MetadataTooLarge", "InvalidObjectName", "InvalidURI"})
_GZIP = "application/gzip"
_METADATA = "x-amz-meta-"
_MISSING = frozenset({"404", "NoSuchKey"})
_CONFLICTS = frozenset({"ConditionalRequestConflict", "OperationAborted"})
_ADVICE = {
    "AccessDenied": "let these credentials have s3:PutObject, s3:GetObject and s3:ListBucket there",
    "403": "let these credentials have s3:PutObject, s3:GetObject and s3:ListBucket there",
    "InvalidAccessKeyId": "correct EAGLE_AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "correct EAGLE_AWS_SECRET_ACCESS_KEY",
    "ExpiredToken": "renew the credentials",
    "InvalidObjectState": "the object lies in a storage class that is not read at once: restore it",
    "RequestTimeTooSkewed": "set this machine's clock",
    "NoSuchBucket": "create the bucket, or correct EAGLE_ARCHIVE_URL",
    "PermanentRedirect": "the bucket is in another region: correct EAGLE_AWS_REGION",
    "NotImplemented": "if the store knows no checksum headers, set EAGLE_S3_CHECKSUMS=when_required",
    "InvalidRequest": "if the store knows no checksum headers, set EAGLE_S3_CHECKSUMS=when_required",
}


class S3Archive:
    """`url` is `s3://bucket/prefix`. Without a key id, boto3's own chain of credentials is used.

    `checksums` is `when_supported` (a SHA-256 with every object, checked by the store and told by `head`) or `when_required`
    (for stores that refuse those headers: Content-MD5 guards the way in, and `head` tells no digest).
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
        session = boto3.session.Session(access_key_id, secret_access_key, region_name=region, botocore_session=_botocore())
        self._client: S3Client = session.client("s3", endpoint_url=endpoint_url, config=config)
        self._client.meta.events.register_last("before-call.s3", _do_not_ask_first)
        self._direct = Direct(self._client, session.get_credentials())

    @property
    def url(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def put(self, key: str, body: bytes, metadata: Mapping[str, str]) -> None:
        for attempt in range(_ATTEMPTS):
            with self._unavailable_on_error():
                try:
                    return self._put(key, body, metadata)
                except ClientError as refused:
                    code = _code(refused)
                    if code in {"PreconditionFailed", "412"}:
                        raise AlreadyThere from None
                    if code in _NEVER:
                        raise NotAccepted(f"{self.url} will never take {key}: {code}") from None
                    if code not in _CONFLICTS or attempt == _ATTEMPTS - 1:
                        raise
            time.sleep(_CONFLICT_PAUSE * 2**attempt)
        return None

    def head(self, key: str) -> ObjectInfo | None:
        with self._unavailable_on_error():
            mode = {"x-amz-checksum-mode": "ENABLED"} if self._with_digest else {}
            answer = self._direct.send("HEAD", self._prefix + key, mode, expected=(OK, MISSING))
            return self._head(key) if answer is None else _info(answer)

    def get(self, key: str) -> bytes:
        with self._unavailable_on_error():
            for _ in range(_ATTEMPTS - 1):
                # botocore repeats the request, but not the reading of a body that breaks off
                with contextlib.suppress(IncompleteReadError, ResponseStreamingError):
                    return self._get(key).read()
            return self._get(key).read()

    def keys(self, prefix: str = "") -> Iterator[str]:
        with self._unavailable_on_error():
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix + prefix)
            for page in pages:
                for found in page.get("Contents", ()):
                    yield found["Key"].removeprefix(self._prefix)

    def ping(self) -> None:
        with self._unavailable_on_error():
            self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix, MaxKeys=1)

    def _get(self, key: str) -> StreamingBody:
        try:
            return self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)["Body"]
        except ClientError as refused:
            if _code(refused) in _MISSING:
                raise KeyError(key) from None
            raise

    def _put(self, key: str, body: bytes, metadata: Mapping[str, str]) -> None:
        guard, header, digest = self._guard(body)
        named = {f"{_METADATA}{name}": value for name, value in metadata.items()}
        headers = {"Content-Type": _GZIP, "If-None-Match": "*", header: digest, **named}
        answer = self._direct.send("PUT", self._prefix + key, headers, body, expected=(OK, TAKEN))
        if answer is None:
            wanted: Any = {"ContentType": _GZIP, "IfNoneMatch": "*", guard: digest, "Metadata": metadata}
            self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=body, **wanted)
        elif answer.status_code == TAKEN:
            raise AlreadyThere

    def _guard(self, body: bytes) -> tuple[str, str, str]:
        """What the store is to check: its name as a parameter and as a header, and its value."""
        if self._with_digest:
            return "ChecksumSHA256", "x-amz-checksum-sha256", _base64(hashlib.sha256(body))
        return "ContentMD5", "Content-MD5", _base64(hashlib.md5(body, usedforsecurity=False))

    def _head(self, key: str) -> ObjectInfo | None:
        mode: Any = {"ChecksumMode": "ENABLED"} if self._with_digest else {}
        try:
            found = self._client.head_object(Bucket=self._bucket, Key=self._prefix + key, **mode)
        except ClientError as refused:
            if _code(refused) in _MISSING:
                return None
            raise
        return ObjectInfo(found["ContentLength"], _hex(found.get("ChecksumSHA256")), found["Metadata"])

    @contextlib.contextmanager
    def _unavailable_on_error(self) -> Iterator[None]:
        """Say what to do, in our own words: the library's may carry more than anybody should read in a log."""
        try:
            yield
        except ClientError as refused:
            code = _code(refused)
            locked = "let these credentials use the key that the object was encrypted with" if code.startswith("KMS.") else None
            advice = locked or _ADVICE.get(code, "rotation tries again, nothing is deleted meanwhile")
            raise ArchiveUnavailable(f"{self.url} answered {code}: {advice}") from None
        except FlexibleChecksumError:
            raise Unreadable(f"an object in {self.url} is not what its own checksum says") from None
        except NoCredentialsError:
            raise ArchiveUnavailable(
                f"no credentials for {self.url}: set EAGLE_AWS_ACCESS_KEY_ID and EAGLE_AWS_SECRET_ACCESS_KEY"
            ) from None
        except BotoCoreError as failed:
            raise ArchiveUnavailable(
                f"{self.url} does not answer ({type(failed).__name__}): {_why_silent(self._client.meta.endpoint_url)}"
            ) from None


def _botocore() -> botocore.session.Session:
    """One that leaves the times in answers as they were sent: nobody looks at them, and a page of a listing has a thousand."""
    session = botocore.session.Session()
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=str)
    return session


def _why_silent(endpoint_url: str) -> str:
    if urlsplit(endpoint_url).hostname in _THIS_MACHINE:
        return (
            f"start what should be at {endpoint_url} (`eagle-logger up --homes N` plays it), or correct EAGLE_S3_ENDPOINT_URL"
        )
    return "is the network up, and EAGLE_S3_ENDPOINT_URL right?"


def _do_not_ask_first(params: dict[str, Any], **_: Any) -> None:
    """Send the body at once: asking whether it is welcome costs a round trip, and is meant for bodies far larger than ours."""
    params["headers"].pop("Expect", None)


def _info(answer: AWSResponse) -> ObjectInfo | None:
    """What the answer to a HEAD says, if there is such an object."""
    if answer.status_code == MISSING:
        return None
    headers = {name.lower(): value for name, value in answer.headers.items()}
    metadata = {name.removeprefix(_METADATA): value for name, value in headers.items() if name.startswith(_METADATA)}
    return ObjectInfo(int(headers["content-length"]), _hex(headers.get("x-amz-checksum-sha256")), metadata)


def _code(refused: ClientError) -> str:
    return str(refused.response.get("Error", {}).get("Code", "an error without a code"))


def _base64(digest: hashlib._Hash) -> str:
    return base64.b64encode(digest.digest()).decode()


def _hex(checksum: str | None) -> str | None:
    """A checksum of the whole object, as hex; one over the parts of a multipart upload (`…-3`) is not of its bytes."""
    return base64.b64decode(checksum).hex() if checksum and "-" not in checksum else None
