"""What the fetch cycle needs of Rainforest. Adapters: `relay.client.RelayClient`; tests use a
scripted one."""

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
    """Something in a reply that gave no reading. `what` is one of a small fixed set of words (a
    metric's label): sentinel, no_time, truncated, bad_number, unknown_root, …; `detail` says it to
    a person; `sample` is redacted and at most 4 KiB."""

    what: str
    detail: str
    sample: str = ""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a reply held. `known` is True if it held at least one notification that we recognise,
    reading or not."""

    readings: tuple[Reading, ...]
    problems: tuple[ReplyProblem, ...]
    known: bool
    undated: tuple[Undated, ...] = ()
    """Readings without a usable time of their own."""


class UnreadableReply(Unreadable):
    """A reply holds nothing we know. `problem` has the sample to keep; the message is short, and as
    redacted."""

    def __init__(self, problem: ReplyProblem) -> None:
        super().__init__(
            f"the reply cannot be read: {problem.what}: {problem.detail}; it begins {problem.sample[:120]!r}"
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
        """The gateway's current reading of this kind.

        `before_writing` is called when the connection is open, just before the request is written.
        If it raises a TimeoutError, nothing is written.

        Raises RelayUnavailable (try again later), Refused (credentials or cloud id),
        UnreadableReply (the reply is nothing we know; carries the problem, with a redacted sample).
        """
        ...

    async def close(self) -> None: ...
