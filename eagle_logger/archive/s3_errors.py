"""What the errors of S3, and of stores with S3's API, mean here, and what to do about them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from urllib.parse import urlsplit

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    FlexibleChecksumError,
    NoCredentialsError,
)
from botocore.parsers import ResponseParserError

from eagle_logger.errors import ArchiveUnavailable, Unreadable

NEVER_TAKEN = frozenset(
    {"EntityTooLarge", "KeyTooLongError", "MetadataTooLarge", "InvalidObjectName", "InvalidURI"}
)
"""Codes of a put that no later try can change."""
HEADER_REFUSED = frozenset({"NotImplemented", "501", "InvalidRequest", "InvalidArgument"})
"""Codes with which a store refuses a header that it does not know or does not allow."""
CONFLICTS = frozenset({"ConditionalRequestConflict", "OperationAborted"})
"""Codes of a conditional put that met another one. It may be tried again at once."""
_OBJECT_EXISTS = frozenset({304, 412})
"""Statuses that refuse a conditional put because the object exists. S3 answers 412; some stores
answer 304."""
_NOT_FOUND = 404
_THIS_MACHINE = frozenset({"127.0.0.1", "localhost", "::1"})

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
_ADVICE_WITHOUT_A_CODE = "rotation tries again, nothing is deleted meanwhile"


def error_code(exc: ClientError) -> str:
    return str(exc.response.get("Error", {}).get("Code", "an error without a code"))


def object_exists(exc: ClientError) -> bool:
    """Whether a conditional put was refused because the key is taken."""
    return _status(exc) in _OBJECT_EXISTS


def is_not_found(exc: ClientError) -> bool:
    return _status(exc) == _NOT_FOUND


@contextlib.contextmanager
def translate_errors(url: str, endpoint_url: str) -> Iterator[None]:
    """Raise botocore's errors as ArchiveUnavailable or Unreadable, with advice. The library's own
    messages are left out: they may carry more than belongs in a log."""
    try:
        yield
    except ClientError as exc:
        code = error_code(exc)
        raise ArchiveUnavailable(f"{url} answered {code}: {_advice(code)}") from None
    except (ResponseParserError, ValueError) as exc:
        raise ArchiveUnavailable(
            f"{url} answered what no S3 answers ({type(exc).__name__}): "
            "is EAGLE_S3_ENDPOINT_URL right?"
        ) from None
    except FlexibleChecksumError:
        raise Unreadable(f"an object in {url} is not what its own checksum says") from None
    except NoCredentialsError:
        raise ArchiveUnavailable(
            f"no credentials for {url}: set EAGLE_AWS_ACCESS_KEY_ID and EAGLE_AWS_SECRET_ACCESS_KEY"
        ) from None
    except BotoCoreError as exc:
        raise ArchiveUnavailable(
            f"{url} does not answer ({type(exc).__name__}): {_advice_if_silent(endpoint_url)}"
        ) from None


def _status(exc: ClientError) -> int:
    return exc.response["ResponseMetadata"]["HTTPStatusCode"]


def _advice(code: str) -> str:
    if code.startswith("KMS."):
        return "let these credentials use the key that the object was encrypted with"
    return _ADVICE.get(code, _ADVICE_WITHOUT_A_CODE)


def _advice_if_silent(endpoint_url: str) -> str:
    if urlsplit(endpoint_url).hostname in _THIS_MACHINE:
        return (
            f"start what should be at {endpoint_url} "
            "(`eagle-logger up --homes N` brings a stand-in along), "
            "or correct EAGLE_S3_ENDPOINT_URL"
        )
    return "is the network up, and EAGLE_S3_ENDPOINT_URL right?"
