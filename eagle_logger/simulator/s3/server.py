"""A strict S3 on a directory, for tests and for `eagle-logger up --homes`.

It checks signatures, SHA-256, CRC32, Content-MD5 and If-None-Match, keeps its objects and a journal
of every PUT, deletes nothing, and misbehaves on request (`PUT /_faults`, a JSON list of
`faults.Fault`). The bucket is the first part of the path, or of a host name below `localhost`.
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
from eagle_logger.simulator.s3.faults import ANSWERS, Fault, S3Faults
from eagle_logger.simulator.s3.objects import S3Objects, StoredObject
from eagle_logger.simulator.s3.request_checks import S3Error, check_signature, checksum, content_of

FAULTS_PATH = "/_faults"
_LARGEST = 256 * 1024 * 1024
_PAGE = 1000
_FOR_EVER = 86400.0
_METADATA = "x-amz-meta-"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_NO_SUCH_KEY = S3Error(404, "NoSuchKey", "there is no such object")


class StandInS3:
    """`credentials` are secrets by access key id; None: anybody may do anything."""

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
        """Listen, and return the URL. Raises OSError if that cannot be."""
        app = web.Application(client_max_size=_LARGEST)
        app.router.add_route("*", FAULTS_PATH, self._change_faults)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(
            app, access_log=None, auto_decompress=False, shutdown_timeout=2.0
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        return f"http://{host}:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Finish what is in hand, and stop."""
        if self._runner is not None:
            await self._runner.cleanup()
        self._objects.close()

    async def _change_faults(self, request: web.Request) -> web.Response:
        if request.method == "PUT":
            try:
                self.faults.rules = [Fault.parse(one) for one in await request.json()]
            except (ValueError, TypeError) as exc:
                return web.Response(status=400, text=f"{exc}\n")
        return web.json_response([asdict(rule) for rule in self.faults.rules])

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        sent = await request.read()
        bucket, key = address_of(request)
        fault = self.faults.befalling(request.method, key)
        try:
            if fault is not None:
                await _before(fault, request)
            check_signature(
                request.method,
                request.raw_path,
                request.headers,
                self._credentials,
                sha256(sent).hexdigest(),
            )
            answer = self._carry_out(request, bucket, key, sent, fault)
        except S3Error as exc:
            if request.method == "PUT" and key:
                self._objects.note_put(time.time(), bucket, key, sha256(sent).hexdigest(), exc.code)
            answer = _error(exc)
        if fault is not None and fault.fault == "lost":
            _break(request)
        return answer

    def _carry_out(
        self, request: web.Request, bucket: str, key: str, sent: bytes, fault: Fault | None
    ) -> web.Response:
        """Without a pause in it, so that a condition and what hangs on it are one step."""
        try:
            match request.method, bool(bucket), bool(key):
                case "GET", False, _:
                    return self._list_buckets()
                case "PUT", True, False:
                    self._objects.create_bucket(bucket)
                    return web.Response(headers={"Location": f"/{bucket}"})
                case (("HEAD" | "GET"), True, False):
                    return self._list(request, bucket)
                case "PUT", True, True:
                    return self._put(request, bucket, key, sent, fault)
                case (("HEAD" | "GET"), True, True):
                    return self._get(request, bucket, key)
                case "DELETE", _, _:
                    raise S3Error(403, "AccessDenied", "nothing is ever deleted here")
                case _:
                    raise S3Error(405, "MethodNotAllowed")
        except KeyError:
            raise S3Error(404, "NoSuchBucket", "there is no such bucket") from None
        except ValueError as exc:
            raise S3Error(400, "InvalidArgument", str(exc)) from None

    def _put(
        self, request: web.Request, bucket: str, key: str, sent: bytes, fault: Fault | None
    ) -> web.Response:
        body, checksums = content_of(sent, request.headers)
        condition = request.headers.get("If-None-Match")
        if condition not in {None, "*"}:
            raise S3Error(501, "NotImplemented", "If-None-Match is * or absent")
        is_heeded = fault is None or fault.fault != "replace"
        if condition and is_heeded and self._objects.has(bucket, key):
            status = 304 if fault is not None and fault.fault == "304" else 412
            raise S3Error(status, "PreconditionFailed", "there is such an object already")
        kept = body if fault is None or fault.fault not in {"corrupt", "lie"} else _damaged(body)
        told = (
            checksums
            if kept is body or fault is None or fault.fault == "lie"
            else {name: checksum(name, kept) for name in checksums}
        )
        content_type = request.headers.get("Content-Type", "binary/octet-stream")
        about = StoredObject.of(kept, time.time(), content_type, _metadata(request), told)
        outcome = "replaced" if self._objects.has(bucket, key) else "stored"
        self._objects.put(bucket, key, kept, about)
        self._objects.note_put(about.modified, bucket, key, sha256(body).hexdigest(), outcome)
        return web.Response(headers={"ETag": f'"{about.md5}"', **_checksum_headers(about)})

    def _get(self, request: web.Request, bucket: str, key: str) -> web.Response:
        about = self._objects.head(bucket, key)
        if about is None:
            raise _NO_SUCH_KEY
        headers = {
            "ETag": f'"{about.md5}"',
            "Last-Modified": formatdate(about.modified, usegmt=True),
            "Content-Type": about.content_type,
            "Accept-Ranges": "bytes",
            **{f"{_METADATA}{name}": value for name, value in about.metadata.items()},
        }
        if request.headers.get("x-amz-checksum-mode") == "ENABLED":
            headers |= _checksum_headers(about)
        if request.method == "HEAD":
            return web.Response(headers={**headers, "Content-Length": str(about.size)})
        return _ranged(self._objects.body(bucket, key), request.headers.get("Range"), headers)

    def _list(self, request: web.Request, bucket: str) -> web.Response:
        if "location" in request.query:
            return _xml("<LocationConstraint/>")
        limit = min(_PAGE, int(request.query.get("max-keys", _PAGE)))
        after = request.query.get("continuation-token") or request.query.get("start-after", "")
        prefix = request.query.get("prefix", "")
        page = self._objects.page(bucket, prefix, request.query.get("delimiter", ""), after, limit)
        body = [
            f"<Name>{escape(bucket)}</Name><Prefix>{quote(prefix)}</Prefix><EncodingType>url</EncodingType>",
            f"<MaxKeys>{limit}</MaxKeys><KeyCount>{len(page.keys) + len(page.folders)}</KeyCount>",
            f"<IsTruncated>{'false' if page.next_after is None else 'true'}</IsTruncated>",
            f"<NextContinuationToken>{escape(page.next_after)}</NextContinuationToken>"
            if page.next_after
            else "",
            *(self._listed(bucket, key) for key in page.keys),
            *(
                f"<CommonPrefixes><Prefix>{quote(folder)}</Prefix></CommonPrefixes>"
                for folder in page.folders
            ),
        ]
        return _xml(f"<ListBucketResult>{''.join(body)}</ListBucketResult>")

    def _listed(self, bucket: str, key: str) -> str:
        about = self._objects.head(bucket, key)
        if about is None:
            return ""
        return (
            f"<Contents><Key>{quote(key)}</Key><LastModified>{iso(about.modified, milliseconds=True)}</LastModified>"
            f"<ETag>&quot;{about.md5}&quot;</ETag><Size>{about.size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        )

    def _list_buckets(self) -> web.Response:
        names = "".join(
            f"<Bucket><Name>{escape(name)}</Name><CreationDate>2015-03-10T00:00:00.000Z</CreationDate></Bucket>"
            for name in self._objects.buckets()
        )
        return _xml(f"<ListAllMyBucketsResult><Buckets>{names}</Buckets></ListAllMyBucketsResult>")


async def serve(
    stand_in: StandInS3, host: str, port: int, stop: asyncio.Event, ready: Callable[[str], None]
) -> None:
    """Run it until `stop` is set; `ready` gets its URL."""
    ready(await stand_in.start(host, port))
    try:
        await stop.wait()
    finally:
        await stand_in.stop()


def address_of(request: web.Request) -> tuple[str, str]:
    """The bucket and the key a request is about, "" where it names none."""
    path = unquote(request.raw_path.partition("?")[0]).removeprefix("/")
    host = request.host.partition(":")[0]
    if host.endswith(".localhost"):
        return host.removesuffix(".localhost").removesuffix(".s3"), path
    bucket, _, key = path.partition("/")
    return bucket, key


def _metadata(request: web.Request) -> dict[str, str]:
    named = ((name.lower(), value) for name, value in request.headers.items())
    return {
        name.removeprefix(_METADATA): value for name, value in named if name.startswith(_METADATA)
    }


def _checksum_headers(about: StoredObject) -> dict[str, str]:
    told = {f"x-amz-checksum-{name}": value for name, value in about.checksums.items()}
    return {**told, "x-amz-checksum-type": "FULL_OBJECT"} if told else {}


def _damaged(body: bytes) -> bytes:
    """As long as before, and one bit is another."""
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :] if body else b"?"


def _ranged(body: bytes, asked: str | None, headers: dict[str, str]) -> web.Response:
    match = _RANGE.fullmatch(asked or "")
    if match is None or not (match[1] or match[2]):
        return web.Response(body=body, headers=headers)
    start = int(match[1]) if match[1] else max(0, len(body) - int(match[2]))
    end = min(len(body), int(match[2]) + 1) if match[1] and match[2] else len(body)
    if start >= end:
        raise S3Error(416, "InvalidRange")
    whole = {
        name: value for name, value in headers.items() if not name.startswith("x-amz-checksum-")
    }
    told = {**whole, "Content-Range": f"bytes {start}-{end - 1}/{len(body)}"}
    return web.Response(status=206, body=body[start:end], headers=told)


def _xml(text: str) -> web.Response:
    return web.Response(
        body=f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode(),
        content_type="application/xml",
    )


def _error(wrong: S3Error) -> web.Response:
    answer = _xml(
        f"<Error><Code>{wrong.code}</Code><Message>{escape(str(wrong))}</Message></Error>"
    )
    answer.set_status(wrong.status)
    return answer


async def _before(fault: Fault, request: web.Request) -> None:
    """What a fault does before the request is carried out, or instead."""
    if fault.fault in ANSWERS:
        raise S3Error(*ANSWERS[fault.fault], "by request")
    if fault.fault in {"slow", "hang"}:
        await asyncio.sleep(fault.seconds if fault.fault == "slow" else _FOR_EVER)
    if fault.fault == "reset":
        _break(request)
        raise S3Error(503, "ConnectionReset", "by request")


def _break(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
