"""The head of an HTTP/1.1 request. The same client sends the same bytes for the same home, so heads
are understood once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii
from urllib.parse import parse_qsl, urlsplit

MOST_KEPT = 200_000

Authenticate = Callable[[Mapping[str, str]], object]


@dataclass(frozen=True, slots=True)
class RequestHead:
    """What a request's head says. `account` is what the server's `authenticate` made of its
    headers."""

    method: str
    path: str
    query: dict[str, str]
    length: int
    chunked: bool
    is_http_1_0: bool
    keep_alive: bool
    expects_continue: bool
    agent: str
    """User-Agent, as a JSON string."""
    cloud_id: str
    """As a JSON string: what the client sent, whether or not there is such a home; null if nothing.
    """
    account: object


class RequestHeadParser:
    """Reads heads, and remembers what it has read. `authenticate` gets a head's headers, their
    names in lower case."""

    def __init__(self, authenticate: Authenticate) -> None:
        self._authenticate = authenticate
        self._known: dict[bytes, RequestHead] = {}

    def read(self, text: bytes) -> RequestHead:
        """The head in these bytes, without the blank line that ends it. Raises ValueError if it is
        none."""
        known = self._known.get(text)
        if known is None:
            known = _parse(text, self._authenticate)
            if len(self._known) >= MOST_KEPT:
                self._known.clear()
            self._known[text] = known
        return known


def _parse(text: bytes, authenticate: Authenticate) -> RequestHead:
    first, *lines = text.decode("latin-1").split("\r\n")
    method, target, version = first.split(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError(f"not a version we speak: {version}")
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines)
    }
    url, connection = urlsplit(target), headers.get("connection", "").lower()
    is_http_1_0 = version == "HTTP/1.0"
    cloud_id = headers.get("cloud-id")
    length = int(headers.get("content-length", "0"))
    if length < 0:
        raise ValueError("a negative Content-Length")
    return RequestHead(
        method=method,
        path=url.path,
        query=dict(parse_qsl(url.query)),
        length=length,
        chunked=headers.get("transfer-encoding", "").lower() == "chunked",
        is_http_1_0=is_http_1_0,
        keep_alive=connection == "keep-alive" if is_http_1_0 else "close" not in connection,
        expects_continue=headers.get("expect", "").lower() == "100-continue",
        agent=encode_basestring_ascii(headers.get("user-agent", "")),
        cloud_id="null" if cloud_id is None else encode_basestring_ascii(cloud_id.lower()),
        account=authenticate(headers),
    )
