"""Whether a request to S3 is what it says it is: its signature (AWS Signature Version 4) and its
body's digests.

Stricter than the usual stand-ins, which take any secret and any digest.
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
_UNSIGNED = frozenset({"UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"})
_CHECKSUM = "x-amz-checksum-"


class S3Error(Exception):
    """An answer that is an error: HTTP status and S3's code for it."""

    def __init__(self, status: int, code: str, message: str = "") -> None:
        super().__init__(message or code)
        self.status = status
        self.code = code


def check_signature(
    method: str,
    raw_path: str,
    headers: Mapping[str, str],
    credentials: Mapping[str, str] | None,
    digest: str | None,
) -> None:
    """Raises S3Error unless the request is signed by one of `credentials` (key id → secret), None
    meaning by anybody.

    `digest` is the SHA-256 (hex) of the body as it was sent; it must be the one that was signed.
    None where only the headers are known yet.
    """
    signed_digest = headers.get("x-amz-content-sha256", "")
    if digest is not None and signed_digest not in _UNSIGNED | {digest}:
        raise S3Error(400, "XAmzContentSHA256Mismatch", "the body is not the one that was signed")
    if credentials is None:
        return
    algorithm, _, rest = headers.get("authorization", "").partition(" ")
    fields = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    key_id, _, scope = fields.get("Credential", "").partition("/")
    if algorithm != _ALGORITHM:
        raise S3Error(403, "AccessDenied", "not signed")
    if key_id not in credentials:
        raise S3Error(403, "InvalidAccessKeyId", "nobody has this access key id")
    canonical = _canonical_request(
        method, raw_path, headers, fields.get("SignedHeaders", ""), signed_digest
    )
    wanted = _signature(credentials[key_id], scope, headers.get("x-amz-date", ""), canonical)
    if not hmac.compare_digest(wanted, fields.get("Signature", "")):
        raise S3Error(
            403,
            "SignatureDoesNotMatch",
            "the secret key is another one, or the request was changed on its way",
        )


def _canonical_request(
    method: str, raw_path: str, headers: Mapping[str, str], signed: str, digest: str
) -> str:
    path, _, query = raw_path.partition("?")
    pairs = sorted(
        (quote(name, "-_.~"), quote(value, "-_.~"))
        for name, value in parse_qsl(query, keep_blank_values=True)
    )
    lines = "".join(
        f"{name}:{' '.join(headers.get(name, '').split())}\n" for name in signed.split(";")
    )
    return "\n".join(
        (method, path, "&".join(f"{name}={value}" for name, value in pairs), lines, signed, digest)
    )


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


def content_of(sent: bytes, headers: Mapping[str, str]) -> tuple[bytes, dict[str, str]]:
    """The object's bytes in a PUT's body, and the checksums (header values by algorithm) that came
    with it in headers or trailers, each of which was found to be right. Raises S3Error."""
    given = {
        name.lower().removeprefix(_CHECKSUM): value
        for name, value in headers.items()
        if name.lower().startswith(_CHECKSUM)
    }
    if "aws-chunked" in headers.get("content-encoding", ""):
        body, trailers = _without_chunks(sent)
        given |= {
            name.removeprefix(_CHECKSUM): value
            for name, value in trailers.items()
            if name.startswith(_CHECKSUM)
        }
        if str(len(body)) != headers.get("x-amz-decoded-content-length"):
            raise S3Error(400, "IncompleteBody", "the body is not as long as it was said to be")
    else:
        body = sent
    given = {
        name: value for name, value in given.items() if name not in {"mode", "type", "algorithm"}
    }
    md5 = headers.get("content-md5")
    if md5 is not None and md5 != _base64(hashlib.md5(body, usedforsecurity=False).digest()):
        raise S3Error(400, "BadDigest", "Content-MD5 is not that of the body")
    for name, value in given.items():
        if name not in _CHECKSUMS:
            raise S3Error(501, "NotImplemented", f"this stand-in cannot check {name}")
        if value != _base64(_CHECKSUMS[name](body)):
            raise S3Error(400, "BadDigest", f"the {name} is not that of the body")
    return body, given


def _without_chunks(sent: bytes) -> tuple[bytes, dict[str, str]]:
    """What lies in an aws-chunked body, and its trailers."""
    pieces: list[bytes] = []
    at = 0
    try:
        while True:
            end = sent.index(b"\r\n", at)
            size = int(sent[at:end].partition(b";")[0], 16)
            at = end + 2
            if size == 0:
                break
            pieces.append(sent[at : at + size])
            at += size + 2
        lines = [line.partition(":") for line in sent[at:].decode().split("\r\n") if line]
    except ValueError:
        raise S3Error(400, "IncompleteBody", "not a whole aws-chunked body") from None
    return b"".join(pieces), {name.strip().lower(): value.strip() for name, _, value in lines}


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


_CHECKSUMS: dict[str, Callable[[bytes], bytes]] = {
    "sha256": lambda body: hashlib.sha256(body).digest(),
    "sha1": lambda body: hashlib.sha1(body, usedforsecurity=False).digest(),
    "crc32": lambda body: zlib.crc32(body).to_bytes(4, "big"),
}


def checksum(name: str, body: bytes) -> str:
    """The header value of one of the algorithms that are known here."""
    return _base64(_CHECKSUMS[name](body))
