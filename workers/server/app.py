"""The whole HTTP surface on one screen, and the server around it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.web import Application

from workers.server import limits
from workers.server.context import Bridge
from workers.server.events import EventHandler
from workers.server.handlers import Handler, NotFound
from workers.server.health import HealthHandler, ReadyHandler
from workers.server.limits import RateLimit
from workers.server.metrics import MetricsHandler
from workers.server.openapi import OpenApiHandler
from workers.server.pages import HomeHandler
from workers.server.sns import SnsHandler
from workers.server.users import UserHandler, UsersHandler

PROBES: list[tuple[str, type[Handler]]] = [
    (r"/healthz", HealthHandler),
    (r"/readyz", ReadyHandler),
    (r"/metrics", MetricsHandler),
]
"""Routes for monitoring. They are served on a second port too."""
ROUTES: list[tuple[str, type[Handler]]] = [
    (r"/", HomeHandler),
    *PROBES,
    (r"/openapi.json", OpenApiHandler),
    (r"/sns", SnsHandler),
    (r"/api/users/", UsersHandler),
    (r"/api/users/([^/]+)", UserHandler),
    (r"/api/event/([^/]+)", EventHandler),
]


class BoundedServer(HTTPServer):
    """Accepts at most `max_connections` at a time, and closes any further connection at once."""

    max_connections = limits.MAX_CONNECTIONS

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        if len(self._connections) < self.max_connections:
            super().handle_stream(stream, address)
        else:
            stream.close()


def make_server(bridge: Bridge) -> BoundedServer:
    """A server with every route, which does not listen yet."""
    return _make_server(bridge, ROUTES)


def make_probe_server(bridge: Bridge) -> BoundedServer:
    """A server with the probes alone and a rate limit of its own, which does not listen yet."""
    probes = _make_server(replace(bridge, rate_limit=RateLimit()), PROBES)
    probes.max_connections = limits.MAX_PROBE_CONNECTIONS
    return probes


def _make_server(bridge: Bridge, routes: list[tuple[str, type[Handler]]]) -> BoundedServer:
    arguments = {"bridge": bridge}
    application = Application(
        [(pattern, handler, arguments) for pattern, handler in routes],
        default_handler_class=NotFound,
        default_handler_args=arguments,
        log_function=_log_request,
    )
    return BoundedServer(
        application,
        idle_connection_timeout=limits.HEADERS_WITHIN_S,
        body_timeout=limits.BODY_WITHIN_S,
        max_header_size=limits.MAX_HEADERS_BYTES,
        max_body_size=limits.MAX_DISCARDED_BODY_BYTES,
        max_buffer_size=limits.MAX_DISCARDED_BODY_BYTES,
        chunk_size=64 * 1024,
    )


def _log_request(handler: Handler) -> None:
    """Log one line for each request, except those that would be noise: probes that went well, and
    answers that ask the sender to slow down. Never log the query or a header: a sender may have put
    a password there."""
    request, status = handler.request, handler.get_status()
    if status == 429 or (status == 200 and request.path in dict(PROBES)):
        return
    handler.log.info(
        "request",
        method=request.method,
        path=request.path[:200],
        status=status,
        ms=round(1000 * request.request_time(), 1),
        peer=request.remote_ip,
    )
