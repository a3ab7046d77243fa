"""What the stand-in for S3 does wrong, as rules in JSON that can be changed while it runs."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Self

ANSWERS = {
    "500": (500, "InternalError"),
    "503": (503, "SlowDown"),
    "403": (403, "AccessDenied"),
    "409": (409, "ConditionalRequestConflict"),
    "412": (412, "PreconditionFailed"),
    "glacier": (403, "InvalidObjectState"),
    "kms": (400, "KMS.DisabledException"),
    "501": (501, "NotImplemented"),
}
"""Faults that answer with this status and code, and do nothing. All but the last are answers of S3;
501 is what stores without conditional writes answer (docs/how-to/choose-a-store.md)."""

FAULTS = frozenset(ANSWERS) | {
    "slow",  # does what was asked, `seconds` later
    "hang",  # never answers, and does nothing
    "reset",  # breaks the connection, and does nothing
    "lost",  # does what was asked, and breaks the connection in place of an answer
    "corrupt",  # stores other bytes than were sent, and gives their checksums when asked
    "lie",  # stores other bytes than were sent, and gives the checksums of those that were sent
    "replace",  # ignores If-None-Match, as some S3-compatible stores do
    "304",  # respects If-None-Match, but answers 304 in place of 412, as MinIO once did
}


@dataclass(slots=True)
class Fault:
    """A rule for requests whose method is one of `methods`, and whose key contains `key`."""

    fault: str
    share: float = 1.0
    """The share of those requests that it hits, by chance."""
    methods: tuple[str, ...] = ("PUT",)
    key: str = ""
    seconds: float = 1.0
    times: int | None = None
    """How many more requests it hits; None means without end."""

    @classmethod
    def parse(cls, data: Any) -> Self:
        """From JSON. Raises ValueError, whose text says what is wrong."""
        if not isinstance(data, dict) or data.get("fault") not in FAULTS:
            raise ValueError(
                f'a fault is an object with "fault": one of {", ".join(sorted(FAULTS))}'
            )
        if unknown := set(data) - set(cls.__slots__):
            raise ValueError(f"a fault has no {', '.join(sorted(unknown))}")
        return cls(**{**data, "methods": tuple(data.get("methods", ("PUT",)))})


class S3Faults:
    """The rules in force. Only the first that hits a request has an effect."""

    def __init__(self, seed: int = 0) -> None:
        self.rules: list[Fault] = []
        self._random = random.Random(seed)  # noqa: S311  (reproducible, not secret)

    def fault_for(self, method: str, key: str) -> Fault | None:
        """The rule that hits this request. It counts as one of the rule's `times`."""
        for rule in self.rules:
            if (
                rule.times == 0
                or method not in rule.methods
                or rule.key not in key
                or self._random.random() >= rule.share
            ):
                continue
            if rule.times is not None:
                rule.times -= 1
            return rule
        return None
