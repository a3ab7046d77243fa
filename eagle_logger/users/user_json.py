"""A user as a person or a program gives it, in JSON. The one definition of its members.

`users import` reads these lines, and `users export` writes the second kind:

    {"cloud_id": "00ce69", "user_email": "…", "user_pw": "…"}
    {"cloud_id": "00ce69", "sealed": "…", "state": {…}}

Both may have `"mac_id": "0x…"`, `"in_step": false` and own intervals, as `"intervals": {"demand":
6}` or as `"demand_interval": 6`. The HTTP API takes a `UserBody`.
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
from eagle_logger.core.sendable import LONGEST_SENDABLE, PATTERN, sendable
from eagle_logger.core.user_state import newest_streams, short_text
from eagle_logger.core.users import Credentials, Seen, User, UserState
from eagle_logger.users.store import NewUser, StoredUser

_MAC = re.compile(r"(?:0[xX])?([0-9a-fA-F]{1,16})")


def _sendable_secret(secret: SecretStr) -> SecretStr:
    sendable(secret.get_secret_value())
    return secret


def _mac_id(text: str) -> str:
    """Its one spelling. Raises ValueError."""
    match = _MAC.fullmatch(text)
    if match is None:
        raise ValueError("must be a MAC of up to 16 hex digits, such as 0xd8d5b9000000abcd")
    return f"0x{match[1].lower():0>16}"


# The validators refuse with messages of their own. The schemas repeat the rules for the OpenAPI
# document.
_SENDABLE_SCHEMA = Field(
    json_schema_extra={"minLength": 1, "maxLength": LONGEST_SENDABLE, "pattern": PATTERN}
)
_MAC_SCHEMA = Field(json_schema_extra={"pattern": f"^{_MAC.pattern}$"})

CloudId = Annotated[str, AfterValidator(cloud_id_of)]
Sendable = Annotated[str, _SENDABLE_SCHEMA, AfterValidator(sendable)]
Password = Annotated[SecretStr, _SENDABLE_SCHEMA, AfterValidator(_sendable_secret)]
MacId = Annotated[str, _MAC_SCHEMA, AfterValidator(_mac_id)]
Interval = Annotated[float, Field(ge=SHORTEST_INTERVAL, le=LONGEST_INTERVAL, allow_inf_nan=False)]
Intervals = Annotated[
    dict[Kind, Interval], Field(description="Seconds between two requests, by kind of reading.")
]
InStep = Annotated[
    bool | None,
    Field(description="Whether its turns follow its meter's rhythm; left out: as EAGLE_IN_STEP."),
]
_Moment = Annotated[float, Field(allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, strict=True)


class UserBody(_Strict):
    """A user with its password. Kinds that `intervals` leaves out have the fleet's interval."""

    user_email: Sendable
    user_pw: Password
    intervals: Intervals = {}
    mac_id: MacId | None = None
    in_step: InStep = None

    def new_user(self, cloud_id: str) -> NewUser:
        credentials = Credentials(cloud_id, self.user_email, self.user_pw.get_secret_value())
        return NewUser(User(cloud_id, dict(self.intervals), self.mac_id, self.in_step), credentials)


class StreamJson(_Strict):
    device: str
    meter: str
    kind: Kind
    seen: list[tuple[int, str]]
    """Time and value of its recent readings."""

    def stream(self) -> Stream:
        return Stream(self.device, self.meter, self.kind)

    def readings(self) -> tuple[Seen, ...]:
        return tuple((time, short_text(text)) for time, text in self.seen)


class StateJson(_Strict):
    """A state without failures and parking, because an imported user begins without them. Members
    that only a newer version understands are left out, too."""

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
            recent=newest_streams({stream.stream(): stream.readings() for stream in self.recent}),
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
    """One line."""

    cloud_id: CloudId
    user_email: Sendable | None = None
    user_pw: Password | None = None
    sealed: str | None = None
    intervals: Intervals = Field({})
    mac_id: MacId | None = Field(None, validation_alias=AliasChoices("mac_id", "MacId"))
    in_step: InStep = None
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
        named = {spec.kind: getattr(self, spec.interval_name) for spec in KINDS.values()}
        intervals = {kind: seconds for kind, seconds in named.items() if seconds is not None}
        return User(self.cloud_id, {**self.intervals, **intervals}, self.mac_id, self.in_step)

    def to_store(self) -> NewUser | StoredUser:
        """The user to put, or to restore if its password is sealed."""
        if self.sealed is not None:
            state = self.state.state() if self.state else UserState()
            return StoredUser(self.user, self.sealed, state, due=None, lease_ends=None)
        assert self.user_email is not None
        assert self.user_pw is not None
        password = self.user_pw.get_secret_value()
        return NewUser(self.user, Credentials(self.cloud_id, self.user_email, password))


def parse_line(text: str | bytes) -> NewUser | StoredUser:
    """The user of a line. Raises ValueError, which names all mistakes and shows no password."""
    try:
        return UserJson.model_validate_json(text).to_store()
    except ValidationError as exc:
        raise ValueError(_mistakes(exc)) from None


def new_user(members: Mapping[str, Any]) -> NewUser:
    """The user with these members of a line. Raises ValueError like `parse_line`."""
    try:
        user = UserJson.model_validate(members, strict=False).to_store()
    except ValidationError as exc:
        raise ValueError(_mistakes(exc)) from None
    assert isinstance(user, NewUser)
    return user


def as_line(stored: StoredUser) -> str:
    """The line of an exported user, without the newline."""
    user = stored.user
    line = UserJson(
        cloud_id=user.cloud_id,
        sealed=stored.sealed,
        intervals={
            kind: seconds for kind, seconds in user.intervals.items() if isinstance(kind, Kind)
        },
        mac_id=user.mac_id,
        in_step=user.in_step,
        state=StateJson.of(stored.state),
    )
    return line.model_dump_json(exclude_defaults=True)


def _mistakes(invalid: ValidationError) -> str:
    mistakes = []
    for error in invalid.errors(include_url=False, include_context=False, include_input=False):
        message = error["msg"].removeprefix("Value error, ")
        member = ".".join(str(part) for part in error["loc"])
        mistakes.append(f"{member}: {message}" if member else message)
    return "; ".join(mistakes)
