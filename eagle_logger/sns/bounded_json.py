"""JSON from strangers: bounded in depth, no key twice, no text that cannot be written as UTF-8."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from eagle_logger.sns.refusals import MessageRefused, Reason

MAX_BRACKETS = 256
"""Opening brackets in one document, which bounds its depth without reading it. Ours need two; SNS
has some for attributes."""


def loads(text: str) -> Any:
    """Raises MessageRefused (not_json, too_complex)."""
    if text.count("[") + text.count("{") > MAX_BRACKETS:
        raise MessageRefused(Reason.TOO_COMPLEX, "the JSON nests more than a message of ours could")
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as exc:
        raise MessageRefused(Reason.NOT_JSON, f"this is not JSON: {exc}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")
