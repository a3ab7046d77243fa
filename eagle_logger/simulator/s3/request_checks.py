"""Whether a request to S3 is genuine: its signature (AWS Signature Version 4) and the digests of
its body.

This is stricter than other stand-ins for S3, which accept any secret and any digest.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from urllib.parse import parse_qsl, quote

_ALGORITHM = "AWS4-HMAC-SHA256"
_UNSIGNED_PAYLOADS = frozenset({"UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"})
_CHECKSUM_PREFIX = "x-amz-checksum-"
_NOT_CHECKSUMS = frozenset({"mode", "type", "algorithm"})
"""The ends of headers that begin like a checksum's."""


class S3Error(Exception):
    """An answer that is an error: its HTTP status, and S3's code for it."""

    def __init__(self, status: int, code: str, message: str = "") -> None:
        super().__init__(message or code)
        self.status = status
        self.code = code


def check_signature(
    method: str,
    raw_path: str,
    headers: Mapping[str, str],
    credentials: Mapping[str, str] | None,
    body_sha256: str,
) -> None:
    """Raises S3Error unless one of `credentials` (key id → secret) has signed the request.

    None for `credentials` accepts any signature, or none. `body_sha256` (hex) is that of the body
    as it was sent, and must be the one that was signed.
    """
    signed_sha256 = headers.get("x-amz-content-sha256", "")
    if signed_sha256 not in _UNSIGNED_PAYLOADS | {body_sha256}:
        raise S3Error(400, "XAmzContentSHA256Mismatch", "the body is not the one that was signed")
    if credentials is None:
        return
    algorithm, _, rest = headers.get("authorization", "").partition(" ")
    fields = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    key_id, _, scope = fields.get("Credential", "").partition("/")
    if algorithm != _ALGORITHM:
        raise S3Error(403, "AccessDenied", "the request is not signed")
    if key_id not in credentials:
        raise S3Error(403, "InvalidAccessKeyId", "this access key id does not exist")
    canonical = _canonical_request(
        method, raw_path, headers, fields.get("SignedHeaders", ""), signed_sha256
    )
    expected = _signature(credentials[key_id], scope, headers.get("x-amz-date", ""), canonical)
    if not hmac.compare_digest(expected, fields.get("Signature", "")):
        raise S3Error(
            403,
            "SignatureDoesNotMatch",
            "the secret key is another one, or the request was changed on its way",
        )


def _canonical_request(
    method: str, raw_path: str, headers: Mapping[str, str], signed_headers: str, signed_sha256: str
) -> str:
    path, _, raw_query = raw_path.partition("?")
    pairs = sorted(
        (quote(name, "-_.~"), quote(value, "-_.~"))
        for name, value in parse_qsl(raw_query, keep_blank_values=True)
    )
    query = "&".join(f"{name}={value}" for name, value in pairs)
    lines = "".join(
        f"{name}:{' '.join(headers.get(name, '').split())}\n" for name in signed_headers.split(";")
    )
    return f"{method}\n{path}\n{query}\n{lines}\n{signed_headers}\n{signed_sha256}"


def _signature(secret: str, scope: str, date: str, canonical: str) -> str:
    to_sign = "\n".join((_ALGORITHM, date, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    return _hmac(_signing_key(secret, scope), to_sign).hex()


@lru_cache(maxsize=64)
def _signing_key(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, message: str) -> bytes:
    return hmac.digest(key, message.encode(), "sha256")


def checked_content(raw_body: bytes, headers: Mapping[str, str]) -> tuple[bytes, dict[str, str]]:
    """The object's bytes in the body of a PUT, and the checksums that came with them.

    The checksums, header values by algorithm, come in headers or trailers. Raises S3Error if one of
    them, or Content-MD5, is not that of the bytes.
    """
    sent_headers = {name.lower(): value for name, value in headers.items()}
    body = raw_body
    if "aws-chunked" in headers.get("content-encoding", ""):
        body, trailers = _without_chunks(raw_body)
        sent_headers |= trailers
        if str(len(body)) != headers.get("x-amz-decoded-content-length"):
            raise S3Error(400, "IncompleteBody", "the body's length is not that of the header")
    checksums = {
        name.removeprefix(_CHECKSUM_PREFIX): value
        for name, value in sent_headers.items()
        if name.startswith(_CHECKSUM_PREFIX)
        and name.removeprefix(_CHECKSUM_PREFIX) not in _NOT_CHECKSUMS
    }
    md5 = headers.get("content-md5")
    if md5 is not None and md5 != _base64(hashlib.md5(body, usedforsecurity=False).digest()):
        raise S3Error(400, "BadDigest", "Content-MD5 is not that of the body")
    for algorithm, value in checksums.items():
        if algorithm not in _CHECKSUMS:
            raise S3Error(501, "NotImplemented", f"this stand-in cannot check {algorithm}")
        if value != checksum(algorithm, body):
            raise S3Error(400, "BadDigest", f"the {algorithm} is not that of the body")
    return body, checksums


def _without_chunks(raw_body: bytes) -> tuple[bytes, dict[str, str]]:
    """The bytes in an aws-chunked body, and its trailers, with names in lower case."""
    pieces: list[bytes] = []
    start = 0
    try:
        while True:
            line_end = raw_body.index(b"\r\n", start)
            size = int(raw_body[start:line_end].partition(b";")[0], 16)
            start = line_end + 2
            if size == 0:
                break
            pieces.append(raw_body[start : start + size])
            start += size + 2
        lines = [line.partition(":") for line in raw_body[start:].decode().split("\r\n") if line]
    except ValueError:
        raise S3Error(400, "IncompleteBody", "the aws-chunked body is incomplete") from None
    return b"".join(pieces), {name.strip().lower(): value.strip() for name, _, value in lines}


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


_CHECKSUMS: dict[str, Callable[[bytes], bytes]] = {
    "sha256": lambda body: hashlib.sha256(body).digest(),
    "sha1": lambda body: hashlib.sha1(body, usedforsecurity=False).digest(),
    "crc32": lambda body: zlib.crc32(body).to_bytes(4, "big"),
}


def checksum(algorithm: str, body: bytes) -> str:
    """The header value for a body. Raises KeyError for an algorithm that is not in `_CHECKSUMS`."""
    return _base64(_CHECKSUMS[algorithm](body))
