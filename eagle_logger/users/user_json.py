"""A user as a line of JSON: what `users import` takes, and what `users export` writes.

{"cloud_id": "00ce69", "user_email": "…", "user_pw": "…"}                          as somebody
writes it {"cloud_id": "00ce69", "sealed": "…", "state": {…}}                                as it
is exported both with "intervals": {"demand": 6} (or "demand_interval": 6, …) and "mac_id": "0x…" if
they differ from the rule
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    create_model,
    model_validator,
)

from eagle_logger.core.kinds import KINDS, Kind
from eagle_logger.core.paths import cloud_id_of
from eagle_logger.core.readings import Stream
from eagle_logger.core.schedule import LONGEST_INTERVAL, SHORTEST_INTERVAL
from eagle_logger.core.sendable import sendable
from eagle_logger.core.user_state import newest_streams, short_text
from eagle_logger.core.users import Credentials, User, UserState
from eagle_logger.users.store import NewUser, StoredUser

_MAC = re.compile(r"(?:0[xX])?([0-9a-fA-F]{1,16})")


def _sendable_secret(secret: SecretStr) -> SecretStr:
    sendable(secret.get_secret_value())
    return secret


def _mac_id(text: str) -> str:
    match = _MAC.fullmatch(text)
    if match is None:
        raise ValueError("must be a MAC of up to 16 hex digits, such as 0xd8d5b9000000abcd")
    return f"0x{match[1].lower():0>16}"


CloudId = Annotated[str, AfterValidator(cloud_id_of)]
Sendable = Annotated[str, AfterValidator(sendable)]
Password = Annotated[SecretStr, AfterValidator(_sendable_secret)]
MacId = Annotated[str, AfterValidator(_mac_id)]
Interval = Annotated[float, Field(ge=SHORTEST_INTERVAL, le=LONGEST_INTERVAL, allow_inf_nan=False)]
_Moment = Annotated[float, Field(allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, strict=True)


class StreamJson(_Strict):
    device: str
    meter: str
    kind: Kind
    seen: list[tuple[int, str]]


class StateJson(_Strict):
    """A state without failures and parking, because an imported user begins without them, and
    without members that only a newer version understands."""

    total_events_logged: int = Field(0, ge=0)
    first_timestamp: int | None = None
    last_timestamp: int | None = None
    last_arrival: _Moment | None = None
    asked: dict[Kind, _Moment] = {}
    recent: list[StreamJson] = []
    recent_counts: list[int] = []
    strange_hours: list[int] = []

    @classmethod
    def of(cls, state: UserState) -> Self:
        return cls(
            total_events_logged=state.total_events_logged,
            first_timestamp=state.first_timestamp,
            last_timestamp=state.last_timestamp,
            last_arrival=state.last_arrival,
            asked={kind: moment for kind, moment in state.asked.items() if isinstance(kind, Kind)},
            recent=[
                StreamJson(**stream._asdict(), seen=list(seen))
                for stream, seen in state.recent.items()
                if isinstance(stream.kind, Kind)
            ],
            recent_counts=list(state.recent_counts),
            strange_hours=list(state.strange_hours),
        )

    def state(self) -> UserState:
        return UserState(
            total_events_logged=self.total_events_logged,
            first_timestamp=self.first_timestamp,
            last_timestamp=self.last_timestamp,
            last_arrival=self.last_arrival,
            asked=self.asked,
            recent=newest_streams(
                {
                    Stream(one.device, one.meter, one.kind): tuple(
                        [(time, short_text(text)) for time, text in one.seen]
                    )
                    for one in self.recent
                }
            ),
            recent_counts=tuple(self.recent_counts),
            strange_hours=tuple(self.strange_hours),
        )


if TYPE_CHECKING:

    class _OwnIntervals(_Strict): ...

else:
    # One member for each kind, as people write it: demand_interval, summation_interval, …
    _OwnIntervals = create_model(
        "_OwnIntervals",
        __base__=_Strict,
        **{spec.interval_name: (Interval | None, None) for spec in KINDS.values()},
    )


class UserJson(_OwnIntervals):
    cloud_id: CloudId
    user_email: Sendable | None = None
    user_pw: Password | None = None
    sealed: str | None = None
    intervals: dict[Kind, Interval] = Field({})
    mac_id: MacId | None = Field(None, validation_alias=AliasChoices("mac_id", "MacId"))
    state: StateJson | None = None

    @model_validator(mode="after")
    def _has_one_password(self) -> Self:
        if self.sealed is not None:
            if self.user_email is not None or self.user_pw is not None:
                raise ValueError(
                    "sealed stands beside user_email or user_pw: give one or the other"
                )
            return self
        for name in ("user_email", "user_pw"):
            if getattr(self, name) is None:
                raise ValueError(f"{name} is missing")
        return self

    @property
    def user(self) -> User:
        own = {spec.kind: getattr(self, spec.interval_name) for spec in KINDS.values()}
        intervals = {
            **self.intervals,
            **{kind: seconds for kind, seconds in own.items() if seconds is not None},
        }
        return User(self.cloud_id, intervals, self.mac_id)

    def stored(self) -> NewUser | StoredUser:
        """What to put, or to restore if the password is sealed."""
        if self.sealed is not None:
            return StoredUser(
                self.user,
                self.sealed,
                self.state.state() if self.state else UserState(),
                None,
                None,
            )
        assert self.user_email is not None
        assert self.user_pw is not None
        return NewUser(
            self.user, Credentials(self.cloud_id, self.user_email, self.user_pw.get_secret_value())
        )


def parse_line(text: str | bytes) -> NewUser | StoredUser:
    """Raises ValueError that says all that is wrong, and never repeats a password."""
    try:
        return UserJson.model_validate_json(text).stored()
    except ValidationError as exc:
        raise ValueError(_reasons(exc)) from None


def new_user(members: Mapping[str, Any]) -> NewUser:
    """From members as in a line. Raises ValueError like `parse_line`."""
    try:
        found = UserJson.model_validate(members, strict=False).stored()
    except ValidationError as exc:
        raise ValueError(_reasons(exc)) from None
    assert isinstance(found, NewUser)
    return found


def as_line(stored: StoredUser) -> str:
    """A user as it is exported, without the newline."""
    entry = UserJson(
        cloud_id=stored.user.cloud_id,
        sealed=stored.sealed,
        intervals={
            kind: seconds
            for kind, seconds in stored.user.intervals.items()
            if isinstance(kind, Kind)
        },
        mac_id=stored.user.mac_id,
        state=StateJson.of(stored.state),
    )
    return entry.model_dump_json(exclude_defaults=True)


def _reasons(invalid: ValidationError) -> str:
    reasons = []
    for error in invalid.errors(include_url=False, include_context=False, include_input=False):
        message = error["msg"].removeprefix("Value error, ")
        where = ".".join(str(part) for part in error["loc"])
        reasons.append(f"{where}: {message}" if where else message)
    return "; ".join(reasons)
