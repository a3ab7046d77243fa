"""Our signatures against those of botocore's signer."""

from __future__ import annotations

from datetime import datetime

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eagle_logger.archive.signing import Scope, signed

STAMP = "20260310T180000Z"
WORDS = st.text("abcXYZ019-_.~+/= ", min_size=1, max_size=20)
PATHS = st.text("abcXYZ019-_.~%/", max_size=30)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["PUT", "HEAD"]),
    host=st.sampled_from(["bucket.s3.eu-west-1.amazonaws.com", "127.0.0.1:9000", "[::1]:9000", "store.example"]),
    path=PATHS,
    headers=st.dictionaries(st.sampled_from(["Content-Type", "If-None-Match", "x-amz-meta-rows", "x-amz-meta-a-b"]), WORDS),
    body=st.binary(max_size=30),
    token=st.none() | WORDS,
    scope=st.builds(Scope, st.sampled_from(["eu-west-1", "us-east-1"]), st.sampled_from(["s3", "s3-outposts"])),
)
def test_they_are_the_same(
    monkeypatch: pytest.MonkeyPatch,
    *,
    method: str,
    host: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    token: str | None,
    scope: Scope,
) -> None:
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: datetime.strptime(STAMP, "%Y%m%dT%H%M%SZ"))  # noqa: DTZ007
    url, credentials = f"http://{host}/{path}", ReadOnlyCredentials("test-key", "not-a-secret", token)
    theirs = AWSRequest(method, url, headers, body)
    S3SigV4Auth(credentials, scope.service, scope.region).add_auth(theirs)
    ours = signed(method, url, headers, body, scope=scope, credentials=credentials, stamp=STAMP)
    assert ours.pop("Host") == host
    assert ours == dict(theirs.headers.items())
