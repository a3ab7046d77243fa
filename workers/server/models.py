"""The JSON that the routes take and answer. The schemas of the OpenAPI document are made from these
models."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from eagle_logger.core.hours import iso
from eagle_logger.users.store import StoredUser

_HEX = "[0-9a-fA-F]"
CLOUD_ID = f"^(0[xX])?({_HEX}{{6}}|{_HEX}{{2}}(:{_HEX}{{2}}){{2}}|{_HEX}{{2}}(-{_HEX}{{2}}){{2}})$"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class UserView(Strict):
    """A user without its credentials; times in ISO 8601, UTC."""

    cloud_id: str = Field(pattern="^[0-9a-f]{6}$")
    mac_id: str | None
    in_step: bool | None
    intervals: dict[str, float]
    total_events_logged: int
    first_timestamp: str | None
    last_timestamp: str | None
    failures: int
    last_error: str | None
    parked: str | None
    due: str | None
    lease_ends: str | None

    @classmethod
    def of(cls, stored: StoredUser) -> Self:
        user, state = stored.user, stored.state
        return cls(
            cloud_id=user.cloud_id,
            mac_id=user.mac_id,
            in_step=user.in_step,
            intervals={str(kind): seconds for kind, seconds in user.intervals.items()},
            total_events_logged=state.total_events_logged,
            first_timestamp=_iso(state.first_timestamp),
            last_timestamp=_iso(state.last_timestamp),
            failures=state.failures,
            last_error=state.last_error,
            parked=state.parked,
            due=_iso(stored.due),
            lease_ends=_iso(stored.lease_ends),
        )


class UserPage(Strict):
    users: list[UserView]
    next: str | None = Field(description="The `after` of the next page; null on the last one.")


class EventAnswer(Strict):
    cloud_id: str
    outcome: str = Field(
        pattern="^(queued|marked)$",
        description="`marked`: a worker is fetching this user now, and will fetch it once more.",
    )


class SnsAnswer(Strict):
    outcome: str


class Health(Strict):
    status: str


class Readiness(Strict):
    ready: bool
    checks: dict[str, str] = Field(
        description="What was checked, and `ok` or what is wrong with it."
    )


class ProblemBody(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    reason: str = Field(description="One word of a small fixed set, for programs.")


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else iso(seconds)
