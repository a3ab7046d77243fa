"""Replies as HTTP/1.1 bytes. As the real relay's (captured), they are chunked, and their content
type is `text/html` even for XML and JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from eagle_logger.simulator.http.request_parser import RequestHead

CHUNK_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Reply:
    """What is sent back for one request."""

    body: bytes
    status: int = 200
    outcome: str = "ok"
    """For /stats and the ledger: one of a small set of words."""
    readings: str = "[]"
    """A JSON array of the readings that a correct decoder gets from the body."""
    content_type: str = "text/html"
    headers: tuple[tuple[str, str], ...] = ()
    close: bool = False


def as_bytes(reply: Reply, head: RequestHead) -> bytes:
    """The whole reply: chunked, or with a Content-Length for an HTTP/1.0 client."""
    keep = head.keep_alive and not reply.close
    start = _common_head(reply.status, reply.content_type, head.is_http_1_0, keep)
    for name, value in reply.headers:
        start += f"{name}: {value}\r\n".encode("latin-1")
    if head.is_http_1_0:
        return b"%bContent-Length: %d\r\n\r\n%b" % (start, len(reply.body), reply.body)
    return b"%b\r\n%b0\r\n\r\n" % (start, _chunks(reply.body))


def page(body: object, status: int = 200) -> Reply:
    """One of the simulator's own pages, as JSON."""
    text = json.dumps(body, indent=1, ensure_ascii=False) + "\n"
    return Reply(text.encode(), status, content_type="application/json")


def problem(status: int, detail: str, **members: Any) -> Reply:
    title = HTTPStatus(status).phrase
    return page({"title": title, "status": status, "detail": detail, **members}, status)


def ledger_head(length: int, size: int) -> bytes:
    """The head of a reply of `length` bytes of the ledger, which now has `size` bytes."""
    return (
        "HTTP/1.1 200 OK\r\nContent-Type: application/jsonl\r\n"
        f"Content-Length: {length}\r\nLedger-Size: {size}\r\n\r\n"
    ).encode()


def _common_head(status: int, content_type: str, is_http_1_0: bool, keep: bool) -> bytes:
    """The status line and the headers that many replies share, built once for each combination."""
    key = status, content_type, is_http_1_0, keep
    head = _COMMON_HEADS.get(key)
    if head is None:
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"Content-Type: {content_type}"]
        if not is_http_1_0:
            lines.append("Transfer-Encoding: chunked")
        if not keep:
            lines.append("Connection: close")
        elif is_http_1_0:
            lines.append("Connection: keep-alive")
        head = _COMMON_HEADS[key] = "".join(f"{line}\r\n" for line in lines).encode()
    return head


_COMMON_HEADS: dict[tuple[int, str, bool, bool], bytes] = {}


def _chunks(body: bytes) -> bytes:
    if len(body) <= CHUNK_BYTES:
        return b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    pieces = (body[start : start + CHUNK_BYTES] for start in range(0, len(body), CHUNK_BYTES))
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
