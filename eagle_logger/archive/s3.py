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
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

import boto3.session
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError, IncompleteReadError, ResponseStreamingError

from eagle_logger.archive.archive import NOT_USABLE, ObjectInfo
from eagle_logger.archive.s3_errors import (
    CONFLICTS,
    HEADER_REFUSED,
    NEVER_TAKEN,
    error_code,
    is_not_found,
    object_exists,
    translate_errors,
)
from eagle_logger.core.sealing import LARGEST_OBJECT, why_larger, why_too_large
from eagle_logger.core.table_names import ensure_deletable
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
"""Times that botocore makes each request. This module repeats as often what botocore does not: a
put after a conflict, the reading of a body that breaks off."""
_CONNECT_WITHIN_S, _NEXT_BYTES_WITHIN_S = 3.0, 10.0
"""Objects are small, and a rotator that is stopped waits for its requests."""
_CONFLICT_PAUSE_S = 0.05
"""Doubles with each conflict."""
_CONTENT_TYPE = "application/gzip"
_FILE_CONTENT_TYPE = "application/vnd.apache.parquet"
_PIECE_BYTES = 1 << 20
_PAGE_BEGINS = b"<"
"""XML and HTML begin with this, and no archived object does. Some stores and proxies send an error
page with status 200."""
_SHA256_BYTES = 32


class S3Archive:
    """`url` is `s3://bucket/prefix`. Without a key id, boto3's own chain of credentials is used.

    `checksums` is `when_supported` (a SHA-256 goes with every object; the store checks it, and
    `head` returns it) or `when_required` (for stores that refuse those headers: Content-MD5 guards
    the way in, and `head` returns no digest).
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
            connect_timeout=_CONNECT_WITHIN_S,
            read_timeout=_NEXT_BYTES_WITHIN_S,
            max_pool_connections=connections,
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
            request_checksum_calculation="when_supported" if self._with_digest else "when_required",
            response_checksum_validation="when_supported" if self._with_digest else "when_required",
            s3={"addressing_style": "path" if endpoint_url else "auto"},
            parameter_validation=False,
        )
        session = boto3.session.Session(
            access_key_id,
            secret_access_key,
            region_name=region,
            botocore_session=_botocore_session(),
        )
        self._client: S3Client = session.client("s3", endpoint_url=endpoint_url, config=config)
        self._client.meta.events.register_last("before-call.s3", _send_body_at_once)
        self._client.meta.events.register("before-call.s3.HeadBucket", _do_not_redirect)

    @property
    def url(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def put(self, key: str, body: bytes, metadata: Mapping[str, str]) -> None:
        checksum = self._checksum(hashlib.sha256(body), hashlib.md5(body, usedforsecurity=False))
        self._put_object(key, body, metadata, ContentType=_CONTENT_TYPE, **checksum)

    def put_file(self, key: str, path: Path, metadata: Mapping[str, str]) -> None:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256")
            file.seek(0)
            md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
            file.seek(0)
            checksum = self._checksum(sha256, md5)
            self._put_object(key, file, metadata, ContentType=_FILE_CONTENT_TYPE, **checksum)

    def _put_object(
        self, key: str, body: bytes | BinaryIO, metadata: Mapping[str, str], **options: Any
    ) -> None:
        for attempt in range(_ATTEMPTS):
            with self._unavailable_on_error():
                try:
                    return self._put_once(key, body, metadata, options)
                except ClientError as exc:
                    code = error_code(exc)
                    if object_exists(exc):
                        raise AlreadyThere from None
                    if code in NEVER_TAKEN:
                        raise NotAccepted(f"{self.url} will never take {key}: {code}") from None
                    if code in HEADER_REFUSED:
                        raise self._error_for_refused_header(code) from None
                    if code not in CONFLICTS or attempt == _ATTEMPTS - 1:
                        raise
            time.sleep(_CONFLICT_PAUSE_S * 2**attempt)
        return None

    def head(self, key: str) -> ObjectInfo | None:
        mode: Any = {"ChecksumMode": "ENABLED"} if self._with_digest else {}
        with self._unavailable_on_error():
            try:
                answer = self._client.head_object(
                    Bucket=self._bucket, Key=self._prefix + key, **mode
                )
            except ClientError as exc:
                if is_not_found(exc):  # the answer to a HEAD has no body, so no code says more
                    return None
                raise
            if "ContentLength" not in answer:
                raise ArchiveUnavailable(f"{self.url} does not say how large {key} is")
            metadata = {name.lower(): value for name, value in answer.get("Metadata", {}).items()}
            digest = _sha256_in_hex(answer.get("ChecksumSHA256"))
            return ObjectInfo(answer["ContentLength"], digest, metadata)

    def get(self, key: str) -> bytes:
        with self._unavailable_on_error():
            for _ in range(_ATTEMPTS - 1):
                with contextlib.suppress(IncompleteReadError, ResponseStreamingError):
                    return self._read_body(key)
            return self._read_body(key)

    def get_file(self, key: str, path: Path, largest: int) -> None:
        with self._unavailable_on_error():
            for _ in range(_ATTEMPTS - 1):
                with contextlib.suppress(IncompleteReadError, ResponseStreamingError):
                    return self._write_body(key, path, largest)
            return self._write_body(key, path, largest)

    def delete(self, key: str) -> None:
        ensure_deletable(key)
        with self._unavailable_on_error():
            self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)

    def keys(self, prefix: str = "") -> Iterator[str]:
        prefix, last_key, token = self._prefix + prefix, "", ""
        while True:
            with self._unavailable_on_error():
                page = self._list_page(prefix, {"ContinuationToken": token} if token else {})
            for listed in page.get("Contents", ()):
                if not listed["Key"].startswith(prefix) or listed["Key"] <= last_key:
                    raise ArchiveUnavailable(
                        f"{self.url} lists keys that were not asked for, or lists them out of order"
                    )
                last_key = listed["Key"]
                yield last_key.removeprefix(self._prefix)
            if not page["IsTruncated"]:
                return
            token, previous_token = page.get("NextContinuationToken", ""), token
            if token in {"", previous_token}:
                raise ArchiveUnavailable(
                    f"{self.url} lists only a part of its keys, "
                    "and does not say where the rest begins"
                )

    def ping(self) -> None:
        with self._unavailable_on_error():
            self._list_page(self._prefix, {"MaxKeys": 1})

    def prove(self) -> None:
        """Put the probe twice. It is never deleted, so from the second proof on both puts are
        refused."""
        failure: EagleError
        for key in (PROBE_KEY, _PROBE_OF_A_DAY.format(time.gmtime())):
            with contextlib.suppress(AlreadyThere):
                _put_probe(self, key)
            try:
                return self._prove_with(key, self._probe(key))
            except NoConditionalWrites:
                raise
            except (ArchiveUnavailable, Unreadable) as exc:
                failure = exc
        raise ArchiveUnavailable(str(failure))

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
        info = self.head(key)
        with contextlib.suppress(KeyError):
            if info is not None:
                return info, self.get(key)
        raise ArchiveUnavailable(
            f"{self.url} accepted {key}, and then answered that there is no such object"
        )

    def _error_for_refused_header(self, code: str) -> ArchiveUnavailable:
        """The error to raise when the store refuses either the condition or the checksum. A put
        without a checksum shows which."""
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
            f"{self.url} answered {code}: it knows no checksum headers; "
            "set EAGLE_S3_CHECKSUMS=when_required"
        )

    def _read_body(self, key: str) -> bytes:
        stream, size = self._stream(key)
        try:
            body = _read_whole(stream, size)
        except Unreadable:
            stream.close()  # so that its connection is not used again: the rest was not read
            raise
        if body[:1] == _PAGE_BEGINS:
            raise ArchiveUnavailable(f"{self.url} gave a page for {key}, not the object")
        return body

    def _write_body(self, key: str, path: Path, largest: int) -> None:
        stream, size = self._stream(key)
        if why := why_larger(size, largest):
            stream.close()
            raise Unreadable(why)
        with path.open("wb") as file:
            # Until nothing comes, because botocore compares the checksum only at the end.
            while piece := stream.read(_PIECE_BYTES):
                if file.tell() == 0 and piece[:1] == _PAGE_BEGINS:
                    raise ArchiveUnavailable(f"{self.url} gave a page for {key}, not the object")
                file.write(piece)
                if why := why_larger(file.tell(), largest):
                    stream.close()
                    raise Unreadable(why)

    def _stream(self, key: str) -> tuple[StreamingBody, int]:
        """An object's stream, and the size that the store gives; 0 if it gives none."""
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
            return answer["Body"], answer.get("ContentLength", 0)
        except ClientError as exc:
            if error_code(exc) == "NoSuchKey":
                raise KeyError(key) from None
            raise

    def _list_page(self, prefix: str, options: Any) -> ListObjectsV2OutputTypeDef:
        page = self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix, **options)
        if "IsTruncated" not in page:
            raise ArchiveUnavailable(f"{self.url} gave a page that is no listing")
        return page

    def _put_once(
        self, key: str, body: bytes | BinaryIO, metadata: Mapping[str, str], options: Any
    ) -> None:
        if not isinstance(body, bytes):
            body.seek(0)
        self._client.put_object(
            Bucket=self._bucket,
            Key=self._prefix + key,
            Body=body,
            IfNoneMatch="*",
            Metadata=metadata,
            **options,
        )

    def _checksum(self, sha256: hashlib._Hash, md5: hashlib._Hash) -> dict[str, str]:
        """The checksum that the store compares the body with."""
        if self._with_digest:
            return {"ChecksumSHA256": _base64(sha256)}
        return {"ContentMD5": _base64(md5)}

    def _unavailable_on_error(self) -> contextlib.AbstractContextManager[None]:
        return translate_errors(self.url, self._client.meta.endpoint_url)


def _read_whole(stream: StreamingBody, announced_size: int) -> bytes:
    """Raises Unreadable for an object that is too large, or whose announced size is."""
    pieces, size = list[bytes](), max(0, announced_size)
    while (why := why_too_large(size)) is None:
        # Read until nothing comes, because botocore compares the checksum only at the end.
        piece = stream.read(LARGEST_OBJECT + 1)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
        size = sum(map(len, pieces))
    raise Unreadable(why)


def _put_probe(archive: S3Archive, key: str = PROBE_KEY) -> None:
    """Put bytes that were never put before. If they replace an object, reading it shows so."""
    mark = uuid.uuid4().hex
    body = f"eagle-logger proves here that nothing is replaced: {mark}\n"
    try:
        archive.put(key, body.encode(), {"mark": mark})
    except NotAccepted as exc:  # a refused probe must not count as a refused reading
        raise ArchiveUnavailable(str(exc)) from None


def _botocore_session() -> botocore.session.Session:
    """A session that leaves the times in answers as they were sent. Nothing uses them, and a page
    of a listing has a thousand to parse."""
    session = botocore.session.Session()
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=str)
    return session


def _send_body_at_once(params: dict[str, Any], **_: Any) -> None:
    """Keep botocore from asking whether a body is welcome. That costs a round trip, and is meant
    for bodies far larger than ours."""
    params["headers"].pop("Expect", None)


def _do_not_redirect(params: dict[str, Any], **_: Any) -> None:
    """Keep botocore from following a second redirect. After the first it asks for the bucket's
    region. If that request is redirected too, it asks again, and a server that redirects everything
    would fill Python's stack."""
    params["context"]["s3_redirect"]["redirected"] = True


def _base64(digest: hashlib._Hash) -> str:
    return base64.b64encode(digest.digest()).decode()


def _sha256_in_hex(checksum: str | None) -> str | None:
    """A checksum of the whole object, as hex. None for any other: a multipart upload's (`…-3`)
    covers the parts' checksums, not the object's bytes; another store's may be no SHA-256 in
    base64."""
    try:
        digest = base64.b64decode(checksum or "", validate=True)
    except ValueError:
        return None
    return digest.hex() if len(digest) == _SHA256_BYTES else None
