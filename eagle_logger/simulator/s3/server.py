"""A strict S3 on a directory, for tests and for `eagle-logger up --homes`.

It checks signatures, SHA-256, CRC32, Content-MD5 and If-None-Match. It keeps its objects and a
journal of every PUT, and deletes nothing but day tables. It misbehaves on request: `PUT /_faults`
takes a JSON list of rules (`faults.Fault`). A bucket is the first part of the path, or of a host
name below `localhost`.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from email.utils import formatdate
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

from aiohttp import web

from eagle_logger.core.hours import iso
from eagle_logger.core.table_names import TABLES
from eagle_logger.simulator.s3.faults import ANSWERS, Fault, S3Faults
from eagle_logger.simulator.s3.objects import S3Objects, StoredObjectInfo
from eagle_logger.simulator.s3.request_checks import (
    S3Error,
    check_signature,
    checked_content,
    checksum,
)

FAULTS_PATH = "/_faults"
_DELETABLE = f"/{TABLES}"
_LARGEST_BODY_BYTES = 256 * 1024 * 1024
_KEYS_PER_PAGE = 1000
_HANG_S = 86400.0
_METADATA_PREFIX = "x-amz-meta-"
_CHECKSUM_PREFIX = "x-amz-checksum-"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class StandInS3:
    """`credentials` are secrets by access key id. Without them it accepts every request."""

    def __init__(
        self,
        directory: Path,
        *,
        buckets: Iterable[str] = (),
        credentials: Mapping[str, str] | None = None,
        seed: int = 0,
    ) -> None:
        self._objects = S3Objects(directory)
        self._credentials = credentials
        self.faults = S3Faults(seed)
        for bucket in buckets:
            self._objects.create_bucket(bucket)
        self._runner: web.AppRunner | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen on `port` (0: a free one). Returns the URL. Raises OSError."""
        app = web.Application(client_max_size=_LARGEST_BODY_BYTES)
        app.router.add_route("*", FAULTS_PATH, self._handle_faults)
        app.router.add_route("*", "/{path:.*}", self._handle_request)
        self._runner = web.AppRunner(
            app, access_log=None, auto_decompress=False, shutdown_timeout=2.0
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        return f"http://{host}:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Answer the requests that have come in, and stop."""
        if self._runner is not None:
            await self._runner.cleanup()
        self._objects.close()

    async def _handle_faults(self, request: web.Request) -> web.Response:
        if request.method == "PUT":
            try:
                self.faults.rules = [Fault.parse(rule) for rule in await request.json()]
            except (ValueError, TypeError) as exc:
                return web.Response(status=400, text=f"{exc}\n")
        return web.json_response([asdict(rule) for rule in self.faults.rules])

    async def _handle_request(self, request: web.Request) -> web.StreamResponse:
        raw_body = await request.read()
        body_sha256 = sha256(raw_body).hexdigest()
        bucket, key = address_of(request)
        fault = self.faults.fault_for(request.method, key)
        try:
            if fault is not None:
                await _delay_or_fail(fault, request)
            check_signature(
                request.method, request.raw_path, request.headers, self._credentials, body_sha256
            )
            response = self._carry_out(request, bucket, key, raw_body, fault)
        except S3Error as exc:
            if request.method == "PUT" and key:
                self._objects.record_put(time.time(), bucket, key, body_sha256, exc.code)
            response = _error(exc)
        if fault is not None and fault.fault == "lost":
            _break_connection(request)
        return response

    def _carry_out(
        self, request: web.Request, bucket: str, key: str, raw_body: bytes, fault: Fault | None
    ) -> web.Response:
        # This does not await: otherwise another request could store the key of a conditional PUT
        # after the condition was checked.
        try:
            match request.method, bool(bucket), bool(key):
                case "GET", False, _:
                    return self._list_buckets()
                case "PUT", True, False:
                    self._objects.create_bucket(bucket)
                    return web.Response(headers={"Location": f"/{bucket}"})
                case (("HEAD" | "GET"), True, False):
                    return self._list_objects(request, bucket)
                case "PUT", True, True:
                    return self._put_object(request, bucket, key, raw_body, fault)
                case (("HEAD" | "GET"), True, True):
                    return self._get_object(request, bucket, key)
                case "DELETE", True, True if _DELETABLE in f"/{key}":
                    self._objects.delete(bucket, key)
                    return web.Response(status=204)
                case "DELETE", _, _:
                    raise S3Error(403, "AccessDenied", "only day tables may be deleted here")
                case _:
                    raise S3Error(405, "MethodNotAllowed")
        except KeyError:
            raise S3Error(404, "NoSuchBucket", "there is no such bucket") from None
        except ValueError as exc:
            raise S3Error(400, "InvalidArgument", str(exc)) from None

    def _put_object(
        self, request: web.Request, bucket: str, key: str, raw_body: bytes, fault: Fault | None
    ) -> web.Response:
        fault_name = fault.fault if fault is not None else ""
        body, checksums = checked_content(raw_body, request.headers)
        body_sha256 = sha256(body).hexdigest()
        condition = request.headers.get("If-None-Match")
        if condition not in {None, "*"}:
            raise S3Error(501, "NotImplemented", "If-None-Match is * or absent")
        exists = self._objects.has(bucket, key)
        if condition and exists and fault_name != "replace":
            status = 304 if fault_name == "304" else 412
            raise S3Error(status, "PreconditionFailed", "there is such an object already")
        if fault_name in {"corrupt", "lie"}:
            body = _damaged(body)
        if fault_name == "corrupt":
            checksums = {algorithm: checksum(algorithm, body) for algorithm in checksums}
        content_type = request.headers.get("Content-Type", "binary/octet-stream")
        info = StoredObjectInfo.of(body, time.time(), content_type, _metadata(request), checksums)
        self._objects.put(bucket, key, body, info)
        outcome = "replaced" if exists else "stored"
        self._objects.record_put(info.modified, bucket, key, body_sha256, outcome)
        return web.Response(headers={"ETag": f'"{info.md5}"', **_checksum_headers(info)})

    def _get_object(self, request: web.Request, bucket: str, key: str) -> web.Response:
        info = self._objects.info(bucket, key)
        if info is None:
            raise S3Error(404, "NoSuchKey", "there is no such object")
        headers = {
            "ETag": f'"{info.md5}"',
            "Last-Modified": formatdate(info.modified, usegmt=True),
            "Content-Type": info.content_type,
            "Accept-Ranges": "bytes",
            **{f"{_METADATA_PREFIX}{name}": value for name, value in info.metadata.items()},
        }
        if request.headers.get("x-amz-checksum-mode") == "ENABLED":
            headers |= _checksum_headers(info)
        if request.method == "HEAD":
            return web.Response(headers={**headers, "Content-Length": str(info.size)})
        return _body_or_range(
            self._objects.body(bucket, key), request.headers.get("Range"), headers
        )

    def _list_objects(self, request: web.Request, bucket: str) -> web.Response:
        query = request.query
        if "location" in query:
            return _xml("<LocationConstraint/>")
        limit = min(_KEYS_PER_PAGE, int(query.get("max-keys", _KEYS_PER_PAGE)))
        after = query.get("continuation-token") or query.get("start-after", "")
        prefix = query.get("prefix", "")
        page = self._objects.page(bucket, prefix, query.get("delimiter", ""), after, limit)
        elements = [
            f"<Name>{escape(bucket)}</Name><Prefix>{quote(prefix)}</Prefix>",
            f"<EncodingType>url</EncodingType><MaxKeys>{limit}</MaxKeys>",
            f"<KeyCount>{len(page.keys) + len(page.folders)}</KeyCount>",
            f"<IsTruncated>{'false' if page.next_after is None else 'true'}</IsTruncated>",
        ]
        if page.next_after:
            token = escape(page.next_after)
            elements.append(f"<NextContinuationToken>{token}</NextContinuationToken>")
        elements += [self._contents_element(bucket, key) for key in page.keys]
        elements += [
            f"<CommonPrefixes><Prefix>{quote(folder)}</Prefix></CommonPrefixes>"
            for folder in page.folders
        ]
        return _xml(f"<ListBucketResult>{''.join(elements)}</ListBucketResult>")

    def _contents_element(self, bucket: str, key: str) -> str:
        info = self._objects.info(bucket, key)
        if info is None:
            return ""
        modified = iso(info.modified, milliseconds=True)
        return (
            f"<Contents><Key>{quote(key)}</Key><LastModified>{modified}</LastModified>"
            f"<ETag>&quot;{info.md5}&quot;</ETag><Size>{info.size}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
        )

    def _list_buckets(self) -> web.Response:
        created = "<CreationDate>2015-03-10T00:00:00.000Z</CreationDate>"
        buckets = "".join(
            f"<Bucket><Name>{escape(name)}</Name>{created}</Bucket>"
            for name in self._objects.buckets()
        )
        return _xml(
            f"<ListAllMyBucketsResult><Buckets>{buckets}</Buckets></ListAllMyBucketsResult>"
        )


async def serve(
    stand_in: StandInS3, host: str, port: int, stop: asyncio.Event, ready: Callable[[str], None]
) -> None:
    """Run until `stop` is set. `ready` is called with the URL."""
    ready(await stand_in.start(host, port))
    try:
        await stop.wait()
    finally:
        await stand_in.stop()


def address_of(request: web.Request) -> tuple[str, str]:
    """The bucket and the key of a request; "" for what it does not name."""
    path = unquote(request.raw_path.partition("?")[0]).removeprefix("/")
    host = request.host.partition(":")[0]
    if host.endswith(".localhost"):
        return host.removesuffix(".localhost").removesuffix(".s3"), path
    bucket, _, key = path.partition("/")
    return bucket, key


def _metadata(request: web.Request) -> dict[str, str]:
    headers = ((name.lower(), value) for name, value in request.headers.items())
    return {
        name.removeprefix(_METADATA_PREFIX): value
        for name, value in headers
        if name.startswith(_METADATA_PREFIX)
    }


def _checksum_headers(info: StoredObjectInfo) -> dict[str, str]:
    if not info.checksums:
        return {}
    headers = {f"{_CHECKSUM_PREFIX}{name}": value for name, value in info.checksums.items()}
    return {**headers, f"{_CHECKSUM_PREFIX}type": "FULL_OBJECT"}


def _damaged(body: bytes) -> bytes:
    """The body with one bit changed in its middle. An empty body becomes one byte long."""
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :] if body else b"?"


def _body_or_range(body: bytes, range_header: str | None, headers: dict[str, str]) -> web.Response:
    match = _RANGE.fullmatch(range_header or "")
    if match is None or not (match[1] or match[2]):
        return web.Response(body=body, headers=headers)
    start = int(match[1]) if match[1] else max(0, len(body) - int(match[2]))
    end = min(len(body), int(match[2]) + 1) if match[1] and match[2] else len(body)
    if start >= end:
        raise S3Error(416, "InvalidRange")
    # The checksums are those of the whole object.
    headers = {
        name: value for name, value in headers.items() if not name.startswith(_CHECKSUM_PREFIX)
    }
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(body)}"
    return web.Response(status=206, body=body[start:end], headers=headers)


def _xml(text: str) -> web.Response:
    return web.Response(
        body=f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode(),
        content_type="application/xml",
    )


def _error(error: S3Error) -> web.Response:
    message = escape(str(error))
    response = _xml(f"<Error><Code>{error.code}</Code><Message>{message}</Message></Error>")
    response.set_status(error.status)
    return response


async def _delay_or_fail(fault: Fault, request: web.Request) -> None:
    """What a fault does before the request is carried out. Raises S3Error if it is not to be."""
    if fault.fault in ANSWERS:
        raise S3Error(*ANSWERS[fault.fault], "by request")
    if fault.fault in {"slow", "hang"}:
        await asyncio.sleep(fault.seconds if fault.fault == "slow" else _HANG_S)
    if fault.fault == "reset":
        _break_connection(request)
        raise S3Error(503, "ConnectionReset", "by request")


def _break_connection(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
