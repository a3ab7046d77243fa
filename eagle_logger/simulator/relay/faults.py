"""What can go wrong with a reply of the simulated relay, as rules in JSON that can be changed while
it runs.

    {"seed": 7,
     "rules": [{"fault": "hang", "homes": ["00ce69"]},
               {"fault": "latency", "seconds": 2, "spread": 1, "share": 0.1},
               {"fault": "status", "status": 429, "share": 0.01, "kinds": ["demand"]}],
     "wordings": {"bad_password": {"status": 200, "text": "<Error>Access denied</Error>"}}}

Whether a rule hits a reply does not depend on the other rules. `reply_plan` decides what several
rules do to the same reply.

The docstring of each rule is its description in docs/reference/simulated-relay.md. It says where
the fault was seen, in the words of docs/reference/quirks.md; a rule without a source is invented.
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
from eagle_logger.simulator.relay.seeded_random import random_fraction, salt_of

if TYPE_CHECKING:
    RuleKind = str
else:
    RuleKind = Literal[(*map(str, KINDS), "other")]
_Share = Annotated[float, Field(ge=0, le=1)]
_Seconds = Annotated[float, Field(ge=0, le=3600)]


class _StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Rule(_StrictModel):
    """Which replies are hit; by default all."""

    share: _Share = 1.0
    """The share of replies, of those that the other members leave."""
    homes: tuple[str, ...] | None = None
    """Cloud ids; None means all homes."""
    homes_share: _Share = 1.0
    """The share of those homes; always the same ones for the same seed."""
    kinds: tuple[RuleKind, ...] | None = None

    _salt: int = PrivateAttr(0)

    def hits(self, home: Home, kind: str, number: int) -> bool:
        """Whether this rule hits request `number` for that home: always the same answer for the
        same seed."""
        return (
            (self.homes is None or home.cloud_id in self.homes)
            and (self.kinds is None or kind in self.kinds)
            and (
                self.homes_share == 1 or random_fraction(home.index, self._salt) < self.homes_share
            )
            and (self.share == 1 or random_fraction(number, self._salt ^ home.salt) < self.share)
        )


class Latency(Rule):
    """The reply takes `seconds`, give or take up to `spread` seconds."""

    fault: Literal["latency"]
    seconds: _Seconds
    spread: _Seconds = 0.0


class Hang(Rule):
    """No reply comes, and the connection stays open (captured)."""

    fault: Literal["hang"]


class Drip(Rule):
    """The reply comes in small pieces, slowly."""

    fault: Literal["drip"]
    bytes_per_second: Annotated[float, Field(gt=0, le=1e6)] = 1.0


class Reset(Rule):
    """The connection is reset after so many bytes of the reply."""

    fault: Literal["reset"]
    after_bytes: Annotated[int, Field(ge=0, le=2**20)] = 0


class Close(Rule):
    """The connection is closed after the reply (`Connection: close`), as the real relay does
    (captured)."""

    fault: Literal["close"]


class Empty(Rule):
    """Status 200 and an empty body (captured)."""

    fault: Literal["empty"]


class ErrorStatus(Rule):
    """Another status with its usual text, or with `text`. `retry_after` (seconds) adds the header
    `Retry-After`. (400, 401 and 503 were captured.)"""

    fault: Literal["status"]
    status: Literal[400, 401, 403, 404, 408, 429, 500, 502, 503, 504]
    text: str | None = None
    retry_after: Annotated[int, Field(ge=0, le=86400)] | None = None


class ErrorText(Rule):
    """Status 200 and a plain text that reports an error (captured)."""

    fault: Literal["error_text"]
    text: str = "Request Timeout"


class ErrorXml(Rule):
    """Status 200 and an `<Error>` notification (captured)."""

    fault: Literal["error_xml"]
    text: str = "Service Unavailable"


class Truncated(Rule):
    """The last fragment breaks off before its end tag (inferred)."""

    fault: Literal["truncated"]


class Restarted(Rule):
    """A truncated fragment is followed at once by the whole one (captured). XML only."""

    fault: Literal["restarted"]


class Doubled(Rule):
    """The whole body comes twice in one reply. XML only."""

    fault: Literal["doubled"]


class Garbage(Rule):
    """Status 200 and meaningless bytes."""

    fault: Literal["garbage"]
    length: Annotated[int, Field(ge=1, le=2**20)] = 300


class Huge(Rule):
    """A body of more than 1 MiB."""

    fault: Literal["huge"]
    length: Annotated[int, Field(gt=2**20, le=2**26)] = 2**21


class Flood(Rule):
    """A body full of readings of meters that are invented for each reply. The ledger does not list
    these readings. XML only."""

    fault: Literal["flood"]
    length: Annotated[int, Field(ge=1, le=2**26)] = 2**20


DirtyWay = Literal[
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
"""The functions of these names in `odd_spelling` say what each does, and where it was seen."""


class Dirty(Rule):
    """The reading is complete, but its XML is spelled in an odd way (captured): one of `ways` in
    each reply, by chance."""

    fault: Literal["dirty"]
    ways: Annotated[tuple[DirtyWay, ...], Field(min_length=1)] = get_args(DirtyWay)


class Stale(Rule):
    """The gateway shows nothing newer than `since`, again and again (captured). `since` is in Unix
    seconds; unset, it is the moment when the rule came into force."""

    fault: Literal["stale"]
    since: float | None = None


class Backlog(Rule):
    """One reply holds the last `count` readings, newest first (captured)."""

    fault: Literal["backlog"]
    count: Annotated[int, Field(ge=2, le=1000)] = 10


class WrongClock(Rule):
    """TimeStamps are `offset` seconds ahead, or behind if it is negative (captured)."""

    fault: Literal["wrong_clock"]
    offset: Annotated[int, Field(ge=-800_000_000, le=3_000_000_000)]


class Sentinel(Rule):
    """A value that means "no reading" (one client) or a time that means "no time" (captured). `of`
    is `value` or `time`; unset, it is either, by chance. Summations and messages have only the
    second. Without a time, a demand is no reading; the other kinds still are."""

    fault: Literal["sentinel"]
    of: Literal["value", "time"] | None = None


class Backwards(Rule):
    """The summation runs backwards (captured): of eight readings in a row, each of seven lacks `by`
    units more than the one before, down to 0, and the eighth is right."""

    fault: Literal["backwards"]
    by: Annotated[int, Field(ge=1, le=2**31)] = 2000


AnyRule = Annotated[
    Latency
    | Hang
    | Drip
    | Reset
    | Close
    | Empty
    | ErrorStatus
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


class RefusalText(_StrictModel):
    """How the relay refuses a request."""

    status: Annotated[int, Field(ge=200, le=599)]
    text: str


class RefusalTexts(_StrictModel):
    """How the real relay words these refusals is not known, so they can be changed."""

    bad_cloud_id: RefusalText = RefusalText(status=401, text="Unknown Cloud-Id")
    bad_password: RefusalText = RefusalText(status=401, text="Wrong User or Password")
    unknown_mac: RefusalText = RefusalText(
        status=200, text="<Error>\r\n  <Text>Unknown MacId</Text>\r\n</Error>\r\n"
    )
    unknown_command: RefusalText = RefusalText(
        status=200, text="<Error>\r\n  <Text>Unknown command</Text>\r\n</Error>\r\n"
    )


class RelayFaults(_StrictModel):
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
        """From JSON. `homes` are the cloud ids of all homes; the rules come into force at `now`
        (Unix seconds).

        Raises ValueError with one line for each mistake.
        """
        try:
            faults = cls.model_validate_json(text)
        except ValidationError as exc:
            mistakes = map(_describe_mistake, exc.errors(include_url=False))
            raise ValueError("\n".join(mistakes)) from None
        unknown_homes = [
            f"rules[{number}].homes: there is no home {cloud_id}"
            for number, rule in enumerate(faults.rules)
            for cloud_id in rule.homes or ()
            if cloud_id not in homes
        ]
        if unknown_homes:
            raise ValueError("\n".join(unknown_homes))
        rules = tuple(_with_start(rule, now) for rule in faults.rules)
        return cls(seed=faults.seed, rules=rules, wordings=faults.wordings)

    def rules_hitting(self, home: Home, kind: str, number: int) -> list[AnyRule]:
        """The rules that hit request `number` for that home, in their order."""
        return [rule for rule in self.rules if rule.hits(home, kind, number)]

    def as_json(self) -> Any:
        """What `parse` takes, as JSON's objects and arrays."""
        return json.loads(self.model_dump_json())


def _with_start(rule: AnyRule, now: float) -> AnyRule:
    if isinstance(rule, Stale) and rule.since is None:
        return rule.model_copy(update={"since": now})
    return rule


def _describe_mistake(error: Any) -> str:
    place = ""
    for step in error["loc"]:
        place += f"[{step}]" if isinstance(step, int) else f".{step}"
    return f"{place.lstrip('.') or 'faults'}: {error['msg']}"
