"""AWS Signature Version 4 for requests to S3 that have no query. botocore's signer takes six times as long over one."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

_ALGORITHM = "AWS4-HMAC-SHA256"


class Scope(NamedTuple):
    """What a signature is good for, besides its day."""

    region: str
    service: str


def signed(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    scope: Scope,
    credentials: ReadOnlyCredentials,
    stamp: str,
) -> dict[str, str]:
    """The headers with all that proves who sends them, each of them signed. `url` is quoted as it will be sent; `stamp` is the
    time as `20150310T170000Z`."""
    address, digest = urlsplit(url), hashlib.sha256(body).hexdigest()
    sent = {**headers, "Host": address.netloc, "X-Amz-Content-SHA256": digest, "X-Amz-Date": stamp}
    if credentials.token:
        sent["X-Amz-Security-Token"] = credentials.token
    canonical = sorted((name.lower(), " ".join(value.split())) for name, value in sent.items())
    names = ";".join(name for name, _ in canonical)
    lines = (f"{name}:{value}" for name, value in canonical)
    request = "\n".join((method, address.path, "", *lines, "", names, digest))
    where = f"{stamp[:8]}/{scope.region}/{scope.service}/aws4_request"
    to_sign = "\n".join((_ALGORITHM, stamp, where, hashlib.sha256(request.encode()).hexdigest()))
    signature = _hmac(_key(credentials.secret_key, where), to_sign).hex()
    sent["Authorization"] = (
        f"{_ALGORITHM} Credential={credentials.access_key}/{where}, SignedHeaders={names}, Signature={signature}"
    )
    return sent


@lru_cache(maxsize=4)
def _key(secret: str, where: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in where.split("/"):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
