"""What all handlers share: limits, JSON, problems, and no word too many."""

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
    """Reads the body itself, so that no more of it is kept than may be."""

    max_body = limits.MAX_BODY
    limited = True

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
        """Before the body arrives. An answer given now would have Tornado cut the connection, and
        the sender, still sending, might never read it: so a refusal waits for the end of the body,
        unless that is far away."""
        self.bridge.under_way.add(self)
        forwarded = self.request.headers.get_list("X-Forwarded-For")
        self.request.remote_ip = peer_of(
            self.request.remote_ip or "", forwarded, self.bridge.trusted_proxies
        )
        length = self.request.headers.get("Content-Length", "0")
        if length.isdecimal() and len(length) < 16 and int(length) > limits.DRAINED:
            raise self.too_large()
        try:
            self.check()
        except HttpProblem as exc:
            self._refuse_later(exc)

    def check(self) -> None:
        """Whatever can be said by the headers alone. Raises Problem."""
        if self.limited and (
            wait := self.bridge.rate_limit.take(self.request.remote_ip or "", time.monotonic())
        ):
            raise problems.try_again(
                "too_many_requests", "too many requests; slow down", after=wait, status=429
            )

    def _refuse_later(self, refusal: HttpProblem) -> None:
        def refuse(*_: str) -> None:
            raise refusal

        setattr(self, (self.request.method or "get").lower(), refuse)

    def data_received(self, chunk: bytes) -> None:
        """One byte more than the limit is kept, as a sign that it was passed."""
        self.received += chunk[: self.max_body + 1 - len(self.received)]

    def whole_body(self) -> bytes:
        if len(self.received) > self.max_body:
            raise self.too_large()
        return bytes(self.received)

    def too_large(self) -> HttpProblem:
        return HttpProblem(
            413, "too_large", f"the body of such a request is at most {self.max_body} bytes"
        )

    def answer(self, what: BaseModel, status: int = 200) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(what.model_dump_json())

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        problem = problems.problem_of(kwargs.get("exc_info", (None, None))[1], status_code)
        self.set_status(problem.status_code)
        self.set_header("Content-Type", problems.MEDIA_TYPE)
        for name, value in problem.headers.items():
            self.set_header(name, value)
        if problem.status_code == 405:
            self.set_header("Allow", ", ".join(self.allowed()))
        self.finish(json.dumps(problems.body(problem)))

    @classmethod
    def allowed(cls) -> list[str]:
        """The methods this handler has."""
        missing = RequestHandler._unimplemented_method  # noqa: SLF001  (Tornado has no public way to ask)
        return [name for name in cls.SUPPORTED_METHODS if getattr(cls, name.lower()) is not missing]

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        if isinstance(value, Transient):
            self.log.warning("answered 503", path=self.request.path[:200], reason=str(value))
        elif problems.problem_of(value, 500).status_code >= 500 and not isinstance(
            value, HttpProblem
        ):
            self.log.error(
                "an error of ours", path=self.request.path[:200], exc_info=(typ, value, tb)
            )

    def compute_etag(self) -> None:
        """None: nothing here is worth it."""


class ApiHandler(Handler):
    """For those who carry the token."""

    def check(self) -> None:
        super().check()
        token = self.bridge.api_token
        if token is None:
            raise HttpProblem(
                404, "api_off", "these routes are off; set EAGLE_API_TOKEN to turn them on"
            )
        scheme, _, given = self.request.headers.get("Authorization", "").partition(" ")
        # Tornado reads headers as Latin-1; the bytes that were sent are what is compared.
        if scheme.lower() != "bearer" or not hmac.compare_digest(
            given.strip().encode("latin-1"), token.encode()
        ):
            raise HttpProblem(
                401, "no_token", "send the token: Authorization: Bearer …"
            ).with_header("WWW-Authenticate", "Bearer")


class NotFound(Handler):
    """For every path there is no route to, whatever the method."""

    def check(self) -> None:
        super().check()
        raise HttpProblem(404, "no_such_route", "there is nothing here; / says what there is")
