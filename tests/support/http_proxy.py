"""A proxy for plain HTTP. It sends every request to one server, whatever host its URL names."""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import urlsplit


class HttpProxy:
    """`request_lines` are the first lines of all requests, in order."""

    def __init__(self, upstream: str) -> None:
        self.request_lines: list[str] = []
        self._server = ThreadingHTTPServer(
            ("127.0.0.1", 0), _handler(urlsplit(upstream).netloc, self.request_lines)
        )
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


def _handler(upstream: str, request_lines: list[str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            request_lines.append(self.requestline)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            connection = http.client.HTTPConnection(upstream, timeout=10)
            connection.request(self.command, urlsplit(self.path).path, body, dict(self.headers))
            answer = connection.getresponse()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.read())
            connection.close()

        do_HEAD = do_PUT  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    return Handler
