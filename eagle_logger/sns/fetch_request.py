"""What is published to have users fetched: `{"cloud_id": "002738"}`, `{"cloud_ids": [...]}` or the
bare id."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eagle_logger.core.paths import cloud_id_of
from eagle_logger.sns import bounded_json
from eagle_logger.sns.refusals import MessageRefused, Reason

MAX_CLOUD_IDS = 1000


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """The users to fetch, each once, in the message's order. `not_ids` counts the items among them
    that cannot be a cloud id."""

    cloud_ids: tuple[str, ...]
    not_ids: int = 0


def cloud_ids_in(message: str) -> FetchRequest:
    """Raises MessageRefused: no_cloud_id, too_many_cloud_ids, too_complex."""
    bare_id = _cloud_id_or_none(message)
    if bare_id is not None:
        return FetchRequest((bare_id,))
    return _request_for(_items(_read_json(message)))


def message_for(cloud_ids: Sequence[str]) -> str:
    """The message that asks to fetch these users; the inverse of `cloud_ids_in`."""
    return json.dumps(
        {"cloud_id": cloud_ids[0]} if len(cloud_ids) == 1 else {"cloud_ids": list(cloud_ids)}
    )


def _read_json(message: str) -> Any:
    try:
        return bounded_json.loads(message)
    except MessageRefused as exc:
        if exc.reason is not Reason.NOT_JSON:
            raise
        raise MessageRefused(
            Reason.NO_CLOUD_ID, "the message is neither a cloud id nor JSON"
        ) from None


def _items(document: Any) -> list[Any]:
    if isinstance(document, str):
        return [document]
    if isinstance(document, dict):
        single = [document["cloud_id"]] if "cloud_id" in document else []
        if isinstance(document.get("cloud_ids"), list):
            return [*document["cloud_ids"], *single]
        if single:
            return single
    raise MessageRefused(Reason.NO_CLOUD_ID, "the message names no cloud_id and no cloud_ids")


def _request_for(items: list[Any]) -> FetchRequest:
    if len(items) > MAX_CLOUD_IDS:
        raise MessageRefused(
            Reason.TOO_MANY_CLOUD_IDS,
            f"{len(items)} cloud ids: one message carries at most {MAX_CLOUD_IDS}",
        )
    cloud_ids = [_cloud_id_or_none(item) for item in items]
    unique = tuple(dict.fromkeys(cloud_id for cloud_id in cloud_ids if cloud_id is not None))
    if not unique:
        raise MessageRefused(
            Reason.NO_CLOUD_ID,
            "the message holds nothing that is a cloud id (6 hex digits, as text)",
        )
    return FetchRequest(unique, cloud_ids.count(None))


def _cloud_id_or_none(item: Any) -> str | None:
    try:
        return cloud_id_of(item)
    except ValueError:
        return None
