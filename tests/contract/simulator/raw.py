"""HTTP spoken with nothing but a socket, so that no library's leniency hides a fault of the
simulator."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from typing import Any, Self

from eagle_logger.simulator.relay.homes import Home

PATH = "/cgi-bin/post_manager"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """One connection. Replies are taken apart by hand, as RFC 9112 prescribes, strictly."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=10)
        self.buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def post(self, home: Home, body: bytes, *, headers: str = "", name: str = "Cloud-Id") -> None:
        self.send(
            f"POST {PATH} HTTP/1.1\r\nHost: rainforestcloud.com:9445\r\n{name}: {home.cloud_id}\r\nUser: {home.user_email}\r\n"
            f"Password: {home.user_pw}\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode()
            + body
        )

    def get(self, path: str) -> Answer:
        self.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return self.answer()

    def put(self, path: str, body: Any) -> Answer:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send(
            f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data
        )
        return self.answer()

    def answer(self) -> Answer:
        head = self._until(b"\r\n\r\n").decode("latin-1")
        first, *lines = head.split("\r\n")
        version, status, _ = first.split(" ", 2)
        assert version == "HTTP/1.1"
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        return Answer(int(status), headers, self._body(headers))

    def ends(self) -> bool:
        """Whether the other side has closed, with nothing more to read."""
        return self.buffer == b"" and self.socket.recv(1) == b""

    def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") != "chunked":
            return self._exactly(int(headers["content-length"]))
        body = b""
        while size := int(self._until(b"\r\n"), 16):
            body += self._exactly(size)
            assert self._exactly(2) == b"\r\n"
        assert self._exactly(2) == b"\r\n"
        return body

    def _until(self, mark: bytes) -> bytes:
        while mark not in self.buffer:
            self._more()
        found, _, self.buffer = self.buffer.partition(mark)
        return found

    def _exactly(self, length: int) -> bytes:
        while len(self.buffer) < length:
            self._more()
        found, self.buffer = self.buffer[:length], self.buffer[length:]
        return found

    def _more(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise EOFError(self.buffer)
        self.buffer += data
