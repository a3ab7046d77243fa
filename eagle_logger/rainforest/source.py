"""The port through which readings come in: what a visit needs of a gateway.

`relay.client.RelayClient` is its adapter; tests use a scripted one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from eagle_logger.core.kinds import Kind
from eagle_logger.core.readings import Reading, Undated
from eagle_logger.core.users import Credentials
from eagle_logger.errors import Unreadable


@dataclass(frozen=True, slots=True)
class ReplyProblem:
    """A part of a reply that gave no reading.

    `what` is one of a small fixed set of words, which label a metric: sentinel, no_time, truncated,
    bad_number, unknown_root, … `detail` explains it to a person. `sample` is redacted and has at
    most 4 KiB.
    """

    what: str
    detail: str
    sample: str = ""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a reply held. `known` is true if it held at least one known notification, even one
    without a reading."""

    readings: tuple[Reading, ...]
    problems: tuple[ReplyProblem, ...]
    known: bool
    undated: tuple[Undated, ...] = ()
    """Readings without a usable time of their own."""


class UnreadableReply(Unreadable):
    """A reply holds no known notification. `problem` has the sample to keep; the message quotes
    only the beginning of it."""

    def __init__(self, problem: ReplyProblem) -> None:
        super().__init__(
            f"the reply cannot be read: {problem.what}: {problem.detail}; "
            f"it begins {problem.sample[:120]!r}"
        )
        self.problem = problem


class ReadingSource(Protocol):
    async def ask(
        self,
        credentials: Credentials,
        kind: Kind,
        mac_id: str | None,
        before_writing: Callable[[], None],
    ) -> Decoded:
        """The gateway's current reading of this kind. `mac_id` is the gateway's own MAC, if it is
        known.

        `before_writing` is called when the connection is open, just before the request is written.
        If it raises a TimeoutError, nothing is written.

        Raises RelayUnavailable (try again later), Refused (credentials or cloud id), or
        UnreadableReply (the reply holds nothing known; it carries the problem, with a redacted
        sample).
        """
        ...

    async def close(self) -> None: ...
