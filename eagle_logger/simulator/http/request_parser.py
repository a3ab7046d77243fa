"""The head of an HTTP/1.1 request. A client sends the same bytes again and again for the same home,
so each head is parsed once and remembered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii
from urllib.parse import parse_qsl, urlsplit

HEADS_REMEMBERED = 200_000

Authenticate = Callable[[Mapping[str, str]], object]


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A request's line and headers, as far as the simulator needs them."""

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
    """The header Cloud-Id as a JSON string, whether or not such a home exists; `null` if absent."""
    account: object
    """What the server's `authenticate` returned for these headers."""


class RequestHeadParser:
    """Parses and remembers heads. `authenticate` gets a head's headers, names in lower case."""

    def __init__(self, authenticate: Authenticate) -> None:
        self._authenticate = authenticate
        self._heads: dict[bytes, RequestHead] = {}

    def read(self, raw_head: bytes) -> RequestHead:
        """Parse a head, given without the blank line that ends it. Raises ValueError."""
        head = self._heads.get(raw_head)
        if head is None:
            head = _parse(raw_head, self._authenticate)
            if len(self._heads) >= HEADS_REMEMBERED:
                self._heads.clear()
            self._heads[raw_head] = head
        return head


def _parse(raw_head: bytes, authenticate: Authenticate) -> RequestHead:
    request_line, *lines = raw_head.decode("latin-1").split("\r\n")
    method, target, version = request_line.split(" ")
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
