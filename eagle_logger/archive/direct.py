"""The two requests that rotation makes for every object, without most of what botocore does around a request.

botocore still decides everything: the first request goes through its client, and where that one went the others follow, over
the same connections (so through the same proxy, with the same certificates and time limits), signed with the credentials of
the moment. Only the answers that are expected are used. After any other one, or none, the request is made once more by the
client, which tries again, finds the bucket's region and names what is wrong; and only what it gets an answer to is followed.
"""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import BotoCoreError
from botocore.utils import percent_encode

from eagle_logger.archive.signing import Scope, signed

if TYPE_CHECKING:
    from botocore.credentials import Credentials
    from botocore.httpsession import URLLib3Session
    from types_boto3_s3 import S3Client

OK, MISSING, TAKEN = 200, 404, 412
_SERVER_ERROR = 500
_PAUSE = 1.0
"""Seconds at most until a request is made again that the store did not answer, or was too busy for: as botocore has it."""


@dataclass(frozen=True, slots=True)
class _Route:
    """Where requests go."""

    base: str
    """The URL in front of a key."""
    scope: Scope
    user_agent: str
    http: URLLib3Session


class Direct:
    """For several threads."""

    def __init__(self, client: S3Client, credentials: Credentials | None) -> None:
        self._credentials = credentials
        self._route: _Route | None = None
        for operation in ("PutObject", "HeadObject"):
            client.meta.events.register(f"needs-retry.s3.{operation}", self._learn)

    def send(
        self, method: str, key: str, headers: Mapping[str, str], body: bytes = b"", *, expected: Collection[int]
    ) -> AWSResponse | None:
        """The answer, if its status is one of these. None: have the client ask."""
        route = self._route
        if route is None:
            return None
        answer = self._ask(route, method, key, headers, body)
        if answer is not None and answer.status_code in expected and _is_whole(method, answer):
            return answer
        self._route = None
        if answer is None or answer.status_code >= _SERVER_ERROR:
            time.sleep(random.uniform(0, _PAUSE))  # noqa: S311  (it hides nothing)
        return None

    def _ask(self, route: _Route, method: str, key: str, headers: Mapping[str, str], body: bytes) -> AWSResponse | None:
        assert self._credentials is not None  # the route was learned from a signed request
        url = route.base + _quoted(key)
        try:
            credentials = self._credentials.get_frozen_credentials()
            proof = signed(method, url, headers, body, scope=route.scope, credentials=credentials, stamp=_stamp(time.time()))
            sent: Any = {**proof, "User-Agent": route.user_agent}
            return route.http.send(AWSPreparedRequest(method, url, sent, body or None, stream_output=False))
        except BotoCoreError:
            return None

    def _learn(self, request_dict: Mapping[str, Any], response: Any, endpoint: Any, **_: Any) -> None:
        """Called by botocore with whatever comes of a request."""
        if response is None or response[0].status_code not in {OK, MISSING, TAKEN}:
            return
        url, path, context = request_dict["url"], request_dict["url_path"], request_dict["context"]
        signing = context.get("signing", {})
        if context["auth_type"] == "v4" and url.endswith(path) and signing.keys() >= {"region", "signing_name"}:
            base = url.removesuffix(path.removeprefix("/"))
            scope = Scope(signing["region"], signing["signing_name"])
            self._route = _Route(base, scope, request_dict["headers"]["User-Agent"], endpoint.http_session)


def _is_whole(method: str, answer: AWSResponse) -> bool:
    """A success that brings an error along is none, nor is one that broke off before it said how large the object is."""
    return answer.status_code != OK or not (answer.content or (method == "HEAD" and "Content-Length" not in answer.headers))


def _quoted(key: str) -> str:
    """As botocore does it."""
    return str(percent_encode(key, safe="/~"))


def _stamp(now: float) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
