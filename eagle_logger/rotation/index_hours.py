"""Writes into the archive's index what a node archived, hour by hour, from its receipts.

It works beside the rotation of shards, and is behind it: an hour is indexed once nothing of it
waits, or once a part has waited for an hour. What comes later becomes a further index object.
`core/index_plan.py` says when.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import structlog

from eagle_logger.archive.archive import Archive
from eagle_logger.core.archive_index import IndexEntry, IndexHead, IndexPart
from eagle_logger.core.hours import Hour
from eagle_logger.core.index_plan import (
    is_complete_index,
    is_forgotten,
    is_to_be_indexed,
    patience_for,
    quiet_hours,
)
from eagle_logger.core.paths import IndexKey
from eagle_logger.errors import ArchiveUnavailable, EagleError
from eagle_logger.logs.folder import Receipt
from eagle_logger.logs.index_copies import IndexCopies, IndexState
from eagle_logger.rotation.archive_reach import ArchiveReach
from eagle_logger.rotation.index_writer import IndexWriter
from eagle_logger.rotation.rotation_rules import RotationRules

_log = structlog.get_logger("eagle_logger.index")

_MOST_FAILURES = 3
"""Hours. If the index of so many cannot be written in one round, the others are left for the next
round."""


@dataclass(slots=True)
class IndexResult:
    """What was indexed."""

    heads: list[IndexHead] = field(default_factory=list)
    """The heads of the index objects that were written."""
    errors: dict[str, str] = field(default_factory=dict)
    """Error messages, by hour."""

    @property
    def objects(self) -> int:
        return len(self.heads)

    @property
    def entries(self) -> int:
        return sum(head.entries for head in self.heads)


def index_hours(
    rules: RotationRules,
    archive: Archive,
    *,
    at_once: bool = False,
    stopping: Callable[[], bool] = lambda: False,
    reach: ArchiveReach | None = None,
) -> IndexResult:
    """Index what this volume archived, oldest hour first. Blocking; safe to repeat, and beside
    rotators and other processes that index: only one at a time does.

    With `at_once`, parts do not wait for others of their hour. `stopping` is called before each
    hour. No failure is raised: what failed is tried again in the next round.
    """
    reach = ArchiveReach(lambda: archive) if reach is None else reach
    result = IndexResult()
    if not rules.folder.root.is_dir():
        return result
    copies = rules.index_copies
    try:
        with copies.locked() as is_ours:
            if not is_ours:
                return result
            round_ = _Round(rules, archive, copies, at_once=at_once)
            for hour in round_.hours():
                if stopping() or reach.is_away() or len(result.errors) >= _MOST_FAILURES:
                    break
                _index_hour(round_, hour, reach, result)
            round_.forget_old_copies()
    except (EagleError, OSError) as exc:
        _log.error("index_failed", reason=str(exc))
        result.errors["index"] = str(exc)
    return result


def _index_hour(round_: _Round, hour: Hour, reach: ArchiveReach, result: IndexResult) -> None:
    try:
        result.heads += round_.index(hour)
    except Exception as exc:  # noqa: BLE001  (the index never keeps an hour from being archived)
        is_foreseen = isinstance(exc, EagleError | OSError)
        log = _log.warning if is_foreseen else _log.exception
        log("hour_not_indexed", hour=hour.name, reason=str(exc))
        result.errors[f"index of {hour}"] = str(exc)
        if isinstance(exc, ArchiveUnavailable):
            reach.still_answers(round_.now)  # notes it if the archive is away


class _Round:
    """One pass over the hours of a volume, by the process that holds the lock."""

    def __init__(
        self, rules: RotationRules, archive: Archive, copies: IndexCopies, *, at_once: bool
    ) -> None:
        self.now = rules.now
        self._rules = rules
        self._folder = rules.folder
        self._archive = archive
        self._copies = copies
        self._at_once = at_once
        self._node = rules.folder.node()
        self._since = copies.since(Hour.of(rules.now))

    def hours(self) -> list[Hour]:
        """The hours that may have something to index, oldest first."""
        known = set(self._copies.hours())
        quiet = (
            hour
            for hour in quiet_hours(self._since, self._rules.grace, self.now)
            if hour not in known or self._had_nothing(hour)
        )
        return sorted({*self._folder.hours(), *quiet})

    def index(self, hour: Hour) -> list[IndexHead]:
        """Index an hour, if it is time. Returns the heads of what was written."""
        # The order matters. Times of change are read first, so that a later receipt shows in the
        # next round. What waits is counted before receipts are read: if nothing waits, no receipt
        # is missing.
        changed_at = self._copies.shards_changed_at(hour)
        state = self._copies.state(hour)
        if state.complete and state.shards == changed_at:
            return []
        waiting = self._folder.unarchived(hour)
        complete = not self._copies.lacks_parts(hour) and is_complete_index(
            hour, self._since, waiting, self._rules.grace, self.now
        )
        shards = [
            shard for shard, at in changed_at.items() if state.shards.get(shard) != at or not at
        ]
        if not shards and (state.complete or not complete):
            return []
        writer = self._writer(hour)
        entries, oldest, still_missing = self._not_indexed(hour, shards, writer.indexed)
        patience = 0.0 if self._at_once else patience_for(self._rules.retention)
        parts = list[IndexPart]()
        if is_to_be_indexed(
            complete=complete,
            stated=writer.is_complete,
            oldest=oldest,
            patience=patience,
            now=self.now,
        ):
            try:
                parts = writer.add(entries, waiting=waiting, complete=complete)
            except EagleError:
                self._note(hour, state, replace(state, unindexed_since=oldest))
                raise
            still_missing, oldest = set(), None
        looked_at = {
            shard: at for shard, at in changed_at.items() if at and shard not in still_missing
        }
        self._note(hour, state, IndexState(looked_at, writer.is_complete, oldest))
        return [part.head for part in parts]

    def forget_old_copies(self) -> None:
        """Delete the copies of hours that are long over and have no log files here."""
        with_files = set(self._folder.hours())
        for hour in self._copies.hours():
            if is_forgotten(hour, self.now) and hour not in with_files:
                self._copies.forget(hour)

    def _had_nothing(self, hour: Hour) -> bool:
        """Whether no part of an hour was ever archived here, as far as the copies know."""
        return not self._copies.names(hour) and not self._copies.lacks_parts(hour)

    def _note(self, hour: Hour, old: IndexState, new: IndexState) -> None:
        if new != old:
            self._copies.note_state(hour, new)

    def _writer(self, hour: Hour) -> IndexWriter:
        writer = IndexWriter(self._archive, self._node, hour, self._copies.keep)
        names = self._copies.names(hour)
        last = max((name.number for name in names if name.node == self._node), default=-1)
        writer.recall(
            self._copies.read(IndexKey(hour, self._node, number)) for number in range(last + 1)
        )
        for name in names:
            if name.node != self._node:
                writer.follow_copy(name, self._copies.read(name))
        return writer

    def _not_indexed(
        self, hour: Hour, shards: list[str], indexed: set[str]
    ) -> tuple[list[IndexEntry], float | None, set[str]]:
        """The parts that these shards' receipts name and the index does not, when the first of them
        was archived, and the shards that have any."""
        entries: dict[str, IndexEntry] = {}
        archived_at: list[float] = []
        not_done: set[str] = set()
        for shard in shards:
            for file in self._folder.sealed_files(hour, shard):
                if file.receipt is None:
                    continue
                for entry in _entries(file.receipt):
                    if entry.key not in indexed:
                        entries[entry.key] = entry
                        archived_at.append(file.receipt.archived_at)
                        not_done.add(shard)
        return list(entries.values()), min(archived_at, default=None), not_done


def _entries(receipt: Receipt) -> list[IndexEntry]:
    """What the index says of the part that a receipt proves, if any, and of those that were found
    when it was archived."""
    if receipt.key is None or receipt.sha256_object is None:
        return list(receipt.found)
    part = IndexEntry(
        key=receipt.key,
        rows=receipt.rows,
        first=receipt.first or 0,
        last=receipt.last or 0,
        size=receipt.size,
        plain_sha256=receipt.sha256_lines,
        object_sha256=receipt.sha256_object,
    )
    return [*receipt.found, part]
