"""What the XML scanner and the JSON scanner find in a reply, before it is known what it means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

MOST_NOTIFICATIONS = 50
"""Notifications, whole or torn, that are read of one reply. An ordinary reply has one, or a
handful."""


class WholeNotification(NamedTuple):
    """It has its own beginning and its own end, and holds nothing but whole elements.

    `fields` maps lower-case names to text as it stands in the reply; of a field that repeats, the
    first that is not empty. `disputed` names the fields that repeat with different text. `source`
    is the whole text, for a problem's sample.
    """

    root: str
    fields: Mapping[str, str]
    source: str
    disputed: frozenset[str] = frozenset()


class TornNotification(NamedTuple):
    """Something that is no whole notification. No field of it is ever used.

    `what`, `detail` and `source` become a `ReplyProblem`.
    """

    what: str
    detail: str
    source: str


@dataclass(slots=True)
class ScanResult:
    whole: list[WholeNotification] = field(default_factory=list)
    torn: list[TornNotification] = field(default_factory=list)
    has_container: bool = False
    """Whether there was a list of notifications, even an empty one."""

    @property
    def is_full(self) -> bool:
        """Whether there are already `MOST_NOTIFICATIONS`, so that the scanner reads no more."""
        return len(self.whole) + len(self.torn) >= MOST_NOTIFICATIONS

    def report_unread(self, rest: str) -> None:
        detail = (
            f"more than {MOST_NOTIFICATIONS} notifications: "
            f"the last {len(rest)} characters were not read"
        )
        self.torn.append(TornNotification("too_many", detail, rest))


def whole_notification(
    root: str, names: Sequence[str], texts: Sequence[str], source: str
) -> WholeNotification:
    """The notification with these elements, in their order; names may repeat."""
    fields = {name.lower(): text for name, text in zip(names, texts, strict=True)}
    if len(fields) == len(names):
        return WholeNotification(root, fields, source)
    return _with_repeated_names(root, names, texts, source)


def _with_repeated_names(
    root: str, names: Sequence[str], texts: Sequence[str], source: str
) -> WholeNotification:
    fields: dict[str, str] = {}
    disputed = set()
    for name, text in zip((name.lower() for name in names), texts, strict=True):
        known = fields.get(name, "").strip()
        if not known:
            fields[name] = text
        elif text.strip() and text.strip().lower() != known.lower():
            disputed.add(name)
    return WholeNotification(root, fields, source, frozenset(disputed))
