"""What the stand-in for S3 does wrong, on request."""

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
"""Faults that are an answer instead of the one due."""

FAULTS = frozenset(ANSWERS) | {
    "slow",  # does as asked, `seconds` later
    "hang",  # never answers, and does nothing
    "reset",  # breaks the connection, and does nothing
    "lost",  # does as asked, and breaks the connection instead of answering
    "corrupt",  # stores other bytes than were sent, and tells their checksum when asked
    "replace",  # takes no notice of If-None-Match
    "304",  # heeds If-None-Match, but answers 304 instead of 412
    "lie",  # stores other bytes than were sent, and tells the checksum of those that were sent
}


@dataclass(slots=True)
class Fault:
    """One rule. It befalls this share of the requests with one of `methods` whose key contains
    `key`, at most `times` times (None: for ever)."""

    fault: str
    share: float = 1.0
    methods: tuple[str, ...] = ("PUT",)
    key: str = ""
    seconds: float = 1.0
    times: int | None = None

    @classmethod
    def parse(cls, data: Any) -> Self:
        """From JSON. Raises ValueError, saying what is wrong."""
        if not isinstance(data, dict) or data.get("fault") not in FAULTS:
            raise ValueError(
                f'a fault is an object with "fault": one of {", ".join(sorted(FAULTS))}'
            )
        if unknown := set(data) - set(cls.__slots__):
            raise ValueError(f"a fault has no {', '.join(sorted(unknown))}")
        return cls(**{**data, "methods": tuple(data.get("methods", ("PUT",)))})


class S3Faults:
    """The rules in force; the first that applies is what befalls a request."""

    def __init__(self, seed: int = 0) -> None:
        self.rules: list[Fault] = []
        self._random = random.Random(seed)  # noqa: S311  (reproducible, not secret)

    def befalling(self, method: str, key: str) -> Fault | None:
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
