"""Replies as HTTP/1.1 bytes, the way the relay puts them: chunked, `text/html` whatever is inside."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from eagle_logger.simulator.http.request_parser import RequestHead

CHUNK = 4096


@dataclass(frozen=True, slots=True)
class Reply:
    """What is sent back. `outcome` is one of a small set of words, for /stats and the ledger;
    `readings` is a JSON array of what a correct decoder gets from these bytes."""

    body: bytes
    status: int = 200
    outcome: str = "ok"
    readings: str = "[]"
    content_type: str = "text/html"
    headers: tuple[tuple[str, str], ...] = ()
    close: bool = False


def as_bytes(reply: Reply, head: RequestHead) -> bytes:
    """The whole reply: chunked, or for HTTP/1.0 with its length."""
    keep = head.keep_alive and not reply.close
    first = _beginning(reply.status, reply.content_type, head.is_http_1_0, keep)
    for name, value in reply.headers:
        first += f"{name}: {value}\r\n".encode("latin-1")
    if head.is_http_1_0:
        return b"%bContent-Length: %d\r\n\r\n%b" % (first, len(reply.body), reply.body)
    return b"%b\r\n%b0\r\n\r\n" % (first, _chunks(reply.body))


def page(body: object, status: int = 200) -> Reply:
    """JSON for people and programs that look at the simulator itself."""
    text = json.dumps(body, indent=1, ensure_ascii=False) + "\n"
    return Reply(text.encode(), status, content_type="application/json")


def problem(status: int, detail: str, **more: Any) -> Reply:
    return page(
        {"title": HTTPStatus(status).phrase, "status": status, "detail": detail, **more}, status
    )


def stream_head(length: int, size: int) -> bytes:
    """The head of a ledger being read: `length` bytes follow, up to byte `size` of the ledger."""
    return (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/jsonl\r\nContent-Length: {length}\r\nLedger-Size: {size}\r\n\r\n"
    ).encode()


def _beginning(status: int, content_type: str, is_http_1_0: bool, keep: bool) -> bytes:
    known = _BEGINNINGS.get((status, content_type, is_http_1_0, keep))
    if known is None:
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"Content-Type: {content_type}"]
        if not is_http_1_0:
            lines.append("Transfer-Encoding: chunked")
        if not keep:
            lines.append("Connection: close")
        elif is_http_1_0:
            lines.append("Connection: keep-alive")
        known = _BEGINNINGS[status, content_type, is_http_1_0, keep] = "".join(
            f"{line}\r\n" for line in lines
        ).encode()
    return known


_BEGINNINGS: dict[tuple[int, str, bool, bool], bytes] = {}


def _chunks(body: bytes) -> bytes:
    if len(body) <= CHUNK:
        return b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    pieces = (body[start : start + CHUNK] for start in range(0, len(body), CHUNK))
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
