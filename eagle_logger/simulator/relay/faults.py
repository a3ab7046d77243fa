"""What can go wrong with a reply, as rules that can be read, checked and changed while the
simulator runs.

    {"seed": 7,
     "rules": [{"fault": "hang", "homes": ["00ce69"]},
               {"fault": "latency", "seconds": 2, "spread": 1, "share": 0.1},
               {"fault": "status", "status": 429, "retry_after": 30, "share": 0.01, "kinds": ["demand"]}],
     "wordings": {"bad_password": {"status": 200, "text": "<Error>Access denied</Error>"}}}

Each rule is decided for itself. Of the rules about time, and of those that replace or damage the
whole body, the first that hits counts; all others add up.
"""

from __future__ import annotations

import json
from collections.abc import Container
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from eagle_logger.core.kinds import KINDS
from eagle_logger.simulator.relay.homes import Home
from eagle_logger.simulator.relay.seeded_random import salt_of, share

if TYPE_CHECKING:
    RuleKind = str
else:
    RuleKind = Literal[(*map(str, KINDS), "other")]
_Share = Annotated[float, Field(ge=0, le=1)]
_Seconds = Annotated[float, Field(ge=0, le=3600)]


class _Checked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Rule(_Checked):
    """Which replies are hit. Unset: all homes, all kinds."""

    share: _Share = 1.0
    """Of the replies concerned."""
    homes: tuple[str, ...] | None = None
    homes_share: _Share = 1.0
    """Of those homes; always the same ones for the same seed."""
    kinds: tuple[RuleKind, ...] | None = None

    _salt: int = PrivateAttr(0)

    def hits(self, home: Home, kind: str, number: int) -> bool:
        """Whether this rule hits the number-th request for that home: always the same answer for
        the same seed."""
        return (
            (self.homes is None or home.cloud_id in self.homes)
            and (self.kinds is None or kind in self.kinds)
            and (self.homes_share == 1 or share(home.index, self._salt) < self.homes_share)
            and (self.share == 1 or share(number, self._salt ^ home.salt) < self.share)
        )


class Latency(Rule):
    """The reply takes so many seconds, more or less the spread."""

    fault: Literal["latency"]
    seconds: _Seconds
    spread: _Seconds = 0.0


class Hang(Rule):
    """There is no reply, and the connection stays open."""

    fault: Literal["hang"]


class Drip(Rule):
    """The reply comes drop by drop."""

    fault: Literal["drip"]
    bytes_per_second: Annotated[float, Field(gt=0, le=1e6)] = 1.0


class Reset(Rule):
    """The connection is reset, after so many bytes of the reply."""

    fault: Literal["reset"]
    after_bytes: Annotated[int, Field(ge=0, le=2**20)] = 0


class Close(Rule):
    """The connection is closed after the reply (`Connection: close`)."""

    fault: Literal["close"]


class Empty(Rule):
    """200, and nothing."""

    fault: Literal["empty"]


class FaultStatus(Rule):
    """Another status, with its text, and Retry-After if given (seconds)."""

    fault: Literal["status"]
    status: Literal[400, 401, 403, 404, 408, 429, 500, 502, 503, 504]
    text: str | None = None
    retry_after: Annotated[int, Field(ge=0, le=86400)] | None = None


class ErrorText(Rule):
    """200, and a plain text that says it did not work."""

    fault: Literal["error_text"]
    text: str = "Request Timeout"


class ErrorXml(Rule):
    """200, and an `<Error>` notification."""

    fault: Literal["error_xml"]
    text: str = "Service Unavailable"


class Truncated(Rule):
    """The last fragment breaks off before its end tag."""

    fault: Literal["truncated"]


class Restarted(Rule):
    """A truncated fragment is followed at once by the whole one. XML only."""

    fault: Literal["restarted"]


class Doubled(Rule):
    """The whole body comes twice in one reply. XML only."""

    fault: Literal["doubled"]


class Garbage(Rule):
    """200, and bytes without a meaning."""

    fault: Literal["garbage"]
    length: Annotated[int, Field(ge=1, le=2**20)] = 300


class Huge(Rule):
    """A body of more than 1 MiB."""

    fault: Literal["huge"]
    length: Annotated[int, Field(gt=2**20, le=2**26)] = 2**21


class Flood(Rule):
    """A body full of readings of meters that are invented for each reply. The ledger does not note
    them. XML only."""

    fault: Literal["flood"]
    length: Annotated[int, Field(ge=1, le=2**26)] = 2**20


Dirt = Literal[
    "upper",
    "shuffled",
    "repeated",
    "empty",
    "missing",
    "blanks",
    "bom",
    "entities",
    "unclosed",
    "several",
    "renamed",
]


class Dirty(Rule):
    """The reading is all there, but the XML is as dirty as it can be. One of these ways at a time,
    by chance."""

    fault: Literal["dirty"]
    ways: Annotated[tuple[Dirt, ...], Field(min_length=1)] = get_args(Dirt)


class Stale(Rule):
    """Nothing newer than `since` (Unix seconds; unset: the moment the rule came into force) is
    shown, again and again."""

    fault: Literal["stale"]
    since: float | None = None


class Backlog(Rule):
    """The last readings in one reply, newest first."""

    fault: Literal["backlog"]
    count: Annotated[int, Field(ge=2, le=1000)] = 10


class WrongClock(Rule):
    """TimeStamps are so many seconds ahead (behind, if negative)."""

    fault: Literal["wrong_clock"]
    offset: Annotated[int, Field(ge=-800_000_000, le=3_000_000_000)]


class Sentinel(Rule):
    """A value that means "no reading", or a time that means "no time" (`of`: value or time; unset:
    either, by chance). Summations and messages have only the second. Without a time, only a demand
    is no reading."""

    fault: Literal["sentinel"]
    of: Literal["value", "time"] | None = None


class Backwards(Rule):
    """The summation runs backwards: seven readings in a row each lack `by` more units (down to 0),
    the eighth is right."""

    fault: Literal["backwards"]
    by: Annotated[int, Field(ge=1, le=2**31)] = 2000


AnyRule = Annotated[
    Latency
    | Hang
    | Drip
    | Reset
    | Close
    | Empty
    | FaultStatus
    | ErrorText
    | ErrorXml
    | Truncated
    | Restarted
    | Doubled
    | Garbage
    | Huge
    | Flood
    | Dirty
    | Stale
    | Backlog
    | WrongClock
    | Sentinel
    | Backwards,
    Field(discriminator="fault"),
]


class RefusalText(_Checked):
    """How the relay says no."""

    status: Annotated[int, Field(ge=200, le=599)]
    text: str


class RefusalTexts(_Checked):
    """The real relay's wordings for these are not known, so they are data."""

    bad_cloud_id: RefusalText = RefusalText(status=401, text="Unknown Cloud-Id")
    bad_password: RefusalText = RefusalText(status=401, text="Wrong User or Password")
    unknown_mac: RefusalText = RefusalText(
        status=200, text="<Error>\r\n  <Text>Unknown MacId</Text>\r\n</Error>\r\n"
    )
    unknown_command: RefusalText = RefusalText(
        status=200, text="<Error>\r\n  <Text>Unknown command</Text>\r\n</Error>\r\n"
    )


class RelayFaults(_Checked):
    """All rules in force. `seed` decides which replies they hit."""

    seed: int = 0
    rules: tuple[AnyRule, ...] = ()
    wordings: RefusalTexts = RefusalTexts()

    @model_validator(mode="after")
    def _give_salts(self) -> Self:
        for number, rule in enumerate(self.rules):
            rule._salt = salt_of(self.seed, number, rule.fault)  # noqa: SLF001  (a part of this object)
        return self

    @classmethod
    def parse(cls, text: bytes, homes: Container[str], now: float) -> RelayFaults:
        """From JSON; `homes` are the cloud ids there are, `now` is when the rules come into force
        (Unix seconds).

        Raises ValueError with one line for each mistake.
        """
        try:
            given = cls.model_validate_json(text)
        except ValidationError as exc:
            raise ValueError("\n".join(map(_mistake, exc.errors(include_url=False)))) from None
        strangers = [
            f"rules[{number}].homes: there is no home {cloud_id}"
            for number, rule in enumerate(given.rules)
            for cloud_id in rule.homes or ()
            if cloud_id not in homes
        ]
        if strangers:
            raise ValueError("\n".join(strangers))
        rules = [_in_force(rule, now) for rule in given.rules]
        return cls(seed=given.seed, rules=tuple(rules), wordings=given.wordings)

    def hitting(self, home: Home, kind: str, number: int) -> list[AnyRule]:
        """The rules that hit the number-th request for that home, in order."""
        return [rule for rule in self.rules if rule.hits(home, kind, number)]

    def shown(self) -> Any:
        """As JSON that `parse` takes."""
        return json.loads(self.model_dump_json())


def _in_force(rule: AnyRule, now: float) -> AnyRule:
    return (
        rule.model_copy(update={"since": now})
        if isinstance(rule, Stale) and rule.since is None
        else rule
    )


def _mistake(error: Any) -> str:
    where = ""
    for step in error["loc"]:
        where += f"[{step}]" if isinstance(step, int) else f".{step}"
    return f"{where.lstrip('.') or 'faults'}: {error['msg']}"
