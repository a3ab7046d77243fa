"""Reads JSON that anybody may have sent: not too deep, no key twice, no constants such as NaN."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from eagle_logger.sns.refusals import MessageRefused, Reason

MAX_BRACKETS = 256
"""Opening brackets in one document. Counting them bounds its depth before it is parsed. A message
that asks for fetches has two; what SNS puts around it has a few more."""


def loads(text: str) -> Any:
    """Raises MessageRefused (not_json, too_complex)."""
    if text.count("[") + text.count("{") > MAX_BRACKETS:
        raise MessageRefused(
            Reason.TOO_COMPLEX, "the JSON nests deeper than any message to eagle_logger"
        )
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as exc:
        raise MessageRefused(Reason.NOT_JSON, f"this is not JSON: {exc}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key is there twice")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")
