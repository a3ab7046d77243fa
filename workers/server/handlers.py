"""What all handlers share: limits, JSON, and problems instead of error pages."""

from __future__ import annotations

import hmac
import json
import time
from typing import Any

import structlog
from pydantic import BaseModel
from tornado.web import RequestHandler, stream_request_body

from eagle_logger.errors import Transient
from workers.server import limits, problems
from workers.server.context import Bridge
from workers.server.peers import peer_of
from workers.server.problems import HttpProblem

log = structlog.get_logger("eagle_logger.bridge")


@stream_request_body
class Handler(RequestHandler):
    """Reads the body itself, so that it keeps no more of it than the limit allows."""

    max_body_bytes = limits.MAX_BODY_BYTES
    is_rate_limited = True

    def initialize(self, bridge: Bridge) -> None:
        self.bridge = bridge
        self.log = log
        self.received = bytearray()

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")

    def on_finish(self) -> None:
        self.bridge.under_way.discard(self)

    def on_connection_close(self) -> None:
        super().on_connection_close()
        self.bridge.under_way.discard(self)

    def prepare(self) -> None:
        """Check the headers, before the body arrives.

        A refusal waits for the end of the body, unless the body is very long. If it were sent now,
        Tornado would cut the connection, and a sender that is still sending might never read it.
        """
        self.bridge.under_way.add(self)
        forwarded = self.request.headers.get_list("X-Forwarded-For")
        self.request.remote_ip = peer_of(
            self.request.remote_ip or "", forwarded, self.bridge.trusted_proxies
        )
        length = self.request.headers.get("Content-Length", "0")
        if (
            length.isdecimal()
            and len(length) < 16
            and int(length) > limits.MAX_DISCARDED_BODY_BYTES
        ):
            raise self.too_large()
        try:
            self.check_headers()
        except HttpProblem as exc:
            self._refuse_later(exc)

    def check_headers(self) -> None:
        """Raise HttpProblem if the headers alone show that the request will be refused."""
        if not self.is_rate_limited:
            return
        wait = self.bridge.rate_limit.take(self.request.remote_ip or "", time.monotonic())
        if wait:
            raise problems.try_again(
                "too_many_requests", "too many requests; slow down", after=wait, status=429
            )

    def _refuse_later(self, refusal: HttpProblem) -> None:
        def refuse(*_: str) -> None:
            raise refusal

        setattr(self, (self.request.method or "get").lower(), refuse)

    def data_received(self, chunk: bytes) -> None:
        """Keep one byte more than the limit, as a sign that the body is too large."""
        self.received += chunk[: self.max_body_bytes + 1 - len(self.received)]

    def read_body(self) -> bytes:
        """Raises HttpProblem if the body is too large."""
        if len(self.received) > self.max_body_bytes:
            raise self.too_large()
        return bytes(self.received)

    def too_large(self) -> HttpProblem:
        limit = self.max_body_bytes
        return HttpProblem(413, "too_large", f"the body of such a request is at most {limit} bytes")

    def answer(self, content: BaseModel, status: int = 200) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(content.model_dump_json())

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        problem = problems.problem_of(kwargs.get("exc_info", (None, None))[1], status_code)
        self.set_status(problem.status_code)
        self.set_header("Content-Type", problems.MEDIA_TYPE)
        for name, value in problem.headers.items():
            self.set_header(name, value)
        if problem.status_code == 405:
            self.set_header("Allow", ", ".join(self.allowed_methods()))
        self.finish(json.dumps(problems.body(problem)))

    @classmethod
    def allowed_methods(cls) -> list[str]:
        # Tornado has no public way to ask for them.
        missing = RequestHandler._unimplemented_method  # noqa: SLF001
        return [name for name in cls.SUPPORTED_METHODS if getattr(cls, name.lower()) is not missing]

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        path = self.request.path[:200]
        if isinstance(value, Transient):
            self.log.warning("answered_503", path=path, reason=str(value))
        elif isinstance(value, HttpProblem):
            return
        elif problems.problem_of(value, 500).status_code >= 500:
            detail = "an error in this program; the answer is 500"
            self.log.error("request_failed", path=path, detail=detail, exc_info=(typ, value, tb))

    def compute_etag(self) -> None:
        """None: no answer is worth keeping for later."""


class ApiHandler(Handler):
    """For senders that have the token."""

    def check_headers(self) -> None:
        super().check_headers()
        token = self.bridge.api_token
        if token is None:
            raise HttpProblem(
                404, "api_off", "these routes are off; set EAGLE_API_TOKEN to turn them on"
            )
        scheme, _, sent = self.request.headers.get("Authorization", "").partition(" ")
        # Tornado reads headers as Latin-1; encoding them again gives the bytes that were sent.
        is_right = hmac.compare_digest(sent.strip().encode("latin-1"), token.encode())
        if scheme.lower() != "bearer" or not is_right:
            raise HttpProblem(
                401, "no_token", "send the token: Authorization: Bearer …"
            ).with_header("WWW-Authenticate", "Bearer")


class NotFound(Handler):
    """Answers every path that has no route, whatever the method."""

    def check_headers(self) -> None:
        super().check_headers()
        raise HttpProblem(404, "no_such_route", "there is nothing here; / says what there is")
