"""HTTP over a bare socket, so that no library's leniency hides a fault of the simulator."""

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


class RawConnection:
    """One connection. It parses replies strictly, as RFC 9112 prescribes."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=10)
        self.buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def post(
        self, home: Home, body: bytes, *, headers: str = "", cloud_id_header: str = "Cloud-Id"
    ) -> None:
        head = (
            f"POST {PATH} HTTP/1.1\r\nHost: rainforestcloud.com:9445\r\n"
            f"{cloud_id_header}: {home.cloud_id}\r\nUser: {home.user_email}\r\n"
            f"Password: {home.user_pw}\r\nContent-Type: text/xml\r\n"
            f"Content-Length: {len(body)}\r\n{headers}\r\n"
        )
        self.send(head.encode() + body)

    def get(self, path: str) -> Answer:
        self.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return self.answer()

    def put(self, path: str, content: Any) -> Answer:
        body = json.dumps(content).encode()
        head = f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        self.send(head.encode() + body)
        return self.answer()

    def answer(self) -> Answer:
        head = self._read_until(b"\r\n\r\n").decode("latin-1")
        status_line, *lines = head.split("\r\n")
        version, status, _ = status_line.split(" ", 2)
        assert version == "HTTP/1.1"
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        return Answer(int(status), headers, self._read_body(headers))

    def is_closed_by_server(self) -> bool:
        """Waits until the server closes, or sends more."""
        return self.buffer == b"" and self.socket.recv(1) == b""

    def _read_body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") != "chunked":
            return self._read(int(headers["content-length"]))
        body = b""
        while size := int(self._read_until(b"\r\n"), 16):
            body += self._read(size)
            assert self._read(2) == b"\r\n"
        assert self._read(2) == b"\r\n"
        return body

    def _read_until(self, mark: bytes) -> bytes:
        while mark not in self.buffer:
            self._receive()
        data, _, self.buffer = self.buffer.partition(mark)
        return data

    def _read(self, length: int) -> bytes:
        while len(self.buffer) < length:
            self._receive()
        data, self.buffer = self.buffer[:length], self.buffer[length:]
        return data

    def _receive(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise EOFError(self.buffer)
        self.buffer += data
