"""The OpenAPI document. Its routes are written here. Its schemas are made from the models that
check the bodies."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from eagle_logger.users.user_json import UserBody
from workers.server import problems
from workers.server.handlers import Handler
from workers.server.models import (
    CLOUD_ID,
    EventAnswer,
    Health,
    ProblemBody,
    Readiness,
    SnsAnswer,
    UserPage,
    UserView,
)
from workers.server.users import MAX_USERS_PER_PAGE

_MODELS: list[type[BaseModel]] = [
    UserBody,
    UserView,
    UserPage,
    EventAnswer,
    SnsAnswer,
    Health,
    Readiness,
    ProblemBody,
]
_REF = "#/components/schemas/{model}"
_TOKEN = "token"  # noqa: S105  (the name of the scheme)
_CLOUD_ID = {
    "name": "cloud_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": CLOUD_ID},
}
_PAGE = [
    {"name": "after", "in": "query", "schema": {"type": "string", "pattern": f"^$|{CLOUD_ID}"}},
    {
        "name": "limit",
        "in": "query",
        "schema": {"type": "integer", "minimum": 1, "maximum": MAX_USERS_PER_PAGE, "default": 100},
    },
]


class OpenApiHandler(Handler):
    async def get(self) -> None:
        self.finish(document())


@cache
def document() -> dict[str, Any]:
    """The whole document (OpenAPI 3.1). Callers share it and must not change it."""
    _, schemas = models_json_schema([(model, "validation") for model in _MODELS], ref_template=_REF)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "eagle_logger bridge",
            "version": version("eagle-logger"),
            "description": "Fetches homes when Amazon SNS, or a sender that has the token, asks.",
        },
        "paths": _paths(),
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {_TOKEN: {"type": "http", "scheme": "bearer"}},
        },
    }


def _paths() -> dict[str, Any]:
    user = UserView
    return {
        "/": {"get": _operation("What this server is", {200: "text/html"})},
        "/healthz": {"get": _operation("Whether this process lives", {200: Health})},
        "/readyz": {"get": _operation("Whether the system makes progress", {200: Readiness})},
        "/metrics": {"get": _operation("Counters and gauges, for Prometheus", {200: "text/plain"})},
        "/openapi.json": {"get": _operation("This document", {200: "application/json"})},
        "/sns": {"post": _operation("A message from SNS", {200: SnsAnswer}, takes="text/plain")},
        "/api/users/": {
            "get": _operation("Users, page by page", {200: UserPage}, parameters=_PAGE, token=True)
        },
        "/api/users/{cloud_id}": {
            "parameters": [_CLOUD_ID],
            "get": _operation("One user", {200: user}, token=True),
            "post": _operation(
                "Add or update a user", {200: user, 201: user}, takes=UserBody, token=True
            ),
            "delete": _operation("Remove a user", {204: None}, token=True),
        },
        "/api/event/{cloud_id}": {
            "parameters": [_CLOUD_ID],
            "post": _operation("Fetch a user now", {202: EventAnswer}, token=True),
        },
    }


def _operation(
    summary: str,
    answers: dict[int, type[BaseModel] | str | None],
    *,
    takes: type[BaseModel] | str | None = None,
    parameters: list[dict[str, Any]] | None = None,
    token: bool = False,
) -> dict[str, Any]:
    problem = {
        "description": "A problem (RFC 9457)",
        "content": {problems.MEDIA_TYPE: _schema(ProblemBody)},
    }
    responses: dict[str, Any] = {str(status): _answer(answer) for status, answer in answers.items()}
    operation: dict[str, Any] = {
        "summary": summary,
        "responses": {**responses, "4XX": problem, "5XX": problem},
    }
    if takes is not None:
        operation["requestBody"] = {"required": True, "content": _content(takes)}
    if parameters:
        operation["parameters"] = parameters
    if token:
        operation["security"] = [{_TOKEN: []}]
    return operation


def _answer(answer: type[BaseModel] | str | None) -> dict[str, Any]:
    if answer is None:
        return {"description": "Done"}
    return {"description": "As asked", "content": _content(answer)}


def _content(body: type[BaseModel] | str) -> dict[str, Any]:
    """`body`: a model, or the media type of a body that has none."""
    if not isinstance(body, str):
        return {"application/json": _schema(body)}
    return {body: {"schema": {"type": "object" if body == "application/json" else "string"}}}


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return {"schema": {"$ref": _REF.format(model=model.__name__)}}
