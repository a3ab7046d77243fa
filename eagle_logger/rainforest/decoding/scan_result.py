"""What scanning a reply finds, before anybody asks what it means. The XML and the JSON scanner both
give this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

MOST_NOTIFICATIONS = 50
"""Notifications, whole or torn, that are read of one reply. An ordinary reply has one, or a
handful."""


class Fragment(NamedTuple):
    """One whole notification: it has its own beginning and its own end, and holds nothing but whole
    elements.

    `fields` maps lower-case names to text as it stands in the reply; of a field that repeats, the
    one that is not empty. `disputed` names fields that repeat with different text.
    """

    root: str
    fields: Mapping[str, str]
    source: str
    disputed: frozenset[str] = frozenset()


class TornNotification(NamedTuple):
    """Something that is no whole notification: nothing may be salvaged from it."""

    what: str
    detail: str
    source: str


@dataclass(slots=True)
class ScanResult:
    fragments: list[Fragment] = field(default_factory=list)
    torn: list[TornNotification] = field(default_factory=list)
    containers: bool = False
    """Whether there was a list of notifications, be it an empty one."""

    @property
    def is_full(self) -> bool:
        """Whether `MOST_NOTIFICATIONS` were found, so that no more are read."""
        return len(self.fragments) + len(self.torn) >= MOST_NOTIFICATIONS

    def leave(self, rest: str) -> None:
        """Note as a problem that this rest of the reply is not read."""
        detail = f"more than {MOST_NOTIFICATIONS} notifications: the last {len(rest)} characters were not read"
        self.torn.append(TornNotification("too_many", detail, rest))


def collected(root: str, names: list[str], texts: list[str], source: str) -> Fragment:
    """A fragment of these elements, in their order."""
    fields = {name.lower(): text for name, text in zip(names, texts, strict=True)}
    if len(fields) == len(names):
        return Fragment(root, fields, source)
    return _with_repeated(root, names, texts, source)


def _with_repeated(root: str, names: list[str], texts: list[str], source: str) -> Fragment:
    fields: dict[str, str] = {}
    disputed = set()
    for name, text in zip((name.lower() for name in names), texts, strict=True):
        known = fields.get(name, "").strip()
        if not known:
            fields[name] = text
        elif text.strip() and text.strip().lower() != known.lower():
            disputed.add(name)
    return Fragment(root, fields, source, frozenset(disputed))
