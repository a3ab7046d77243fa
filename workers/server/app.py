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
"""Routes for monitoring. They have a port of their own too."""
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


def server(bridge: Bridge) -> BoundedServer:
    """Every route. Not listening yet."""
    return _server(bridge, ROUTES)


def probe_server(bridge: Bridge) -> BoundedServer:
    """The probes alone, with a rate limit of their own. Not listening yet."""
    probes = _server(replace(bridge, rate_limit=RateLimit()), PROBES)
    probes.max_connections = limits.MAX_PROBE_CONNECTIONS
    return probes


def _server(bridge: Bridge, routes: list[tuple[str, type[Handler]]]) -> BoundedServer:
    arguments = {"bridge": bridge}
    application = Application(
        [(pattern, handler, arguments) for pattern, handler in routes],
        default_handler_class=NotFound,
        default_handler_args=arguments,
        log_function=_log_request,
    )
    return BoundedServer(
        application,
        idle_connection_timeout=limits.HEADERS_WITHIN,
        body_timeout=limits.BODY_WITHIN,
        max_header_size=limits.MAX_HEADERS,
        max_body_size=limits.DRAINED,
        max_buffer_size=limits.DRAINED,
        chunk_size=64 * 1024,
    )


def _log_request(handler: Handler) -> None:
    """One line a request, but for what would be noise: probes that went well, and those who are
    told to slow down. Never the query or a header: somebody may have put a password there."""
    request = handler.request
    if handler.get_status() == 429 or (
        handler.get_status() == 200 and request.path in dict(PROBES)
    ):
        return
    handler.log.info(
        "request",
        method=request.method,
        path=request.path[:200],
        status=handler.get_status(),
        ms=round(1000 * request.request_time(), 1),
        peer=request.remote_ip,
    )
