"""Facts about the system in memory: see `store.Fleet`."""

from __future__ import annotations

from collections.abc import Mapping

from eagle_logger.core.circuit_breaker import Breaker
from eagle_logger.core.overload import COUNTED_IN_LEASES
from eagle_logger.core.user_standing import OVERDUE_AFTER_S
from eagle_logger.users.known_keys import keys_note
from eagle_logger.users.memory.tables import Tables
from eagle_logger.users.store import NODE_KEPT_S, PROGRESS_KEPT_S, Totals


class MemoryFleet:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def now(self) -> float:
        return self._tables.now()

    async def totals(self) -> Totals:
        rows = self._tables.rows.values()
        due = [row.due for row in rows if row.due is not None]
        leased = sum(1 for row in rows if row.lease)
        failing = [row for row in rows if row.state and row.state.failures]
        now, lease = self._tables.now(), self._tables.lease
        latest = now - self._tables.speed.stretched(OVERDUE_AFTER_S)
        newly_leased = now + lease - COUNTED_IN_LEASES * lease
        return Totals(
            users=len(rows),
            due=len(due),
            overdue=sum(1 for moment in due if moment <= latest),
            leased=leased,
            parked=len(rows) - len(due) - leased,
            oldest_due=min(due, default=None),
            failing=sum(1 for row in failing if row.state and not row.state.parked),
            refused=sum(1 for row in rows if row.refused),
            newly_leased=sum(1 for row in rows if row.lease and row.lease.ends >= newly_leased),
        )

    async def tally(self) -> dict[str, int]:
        return dict(self._tables.tally)

    async def count(self, tally: Mapping[str, int]) -> None:
        self._tables.tally.update(tally)

    async def breaker(self) -> Breaker:
        return self._tables.breaker

    async def set_breaker(self, breaker: Breaker) -> None:
        self._tables.breaker = breaker

    async def note_progress(self, name: str, note: Mapping[str, str | int | float]) -> float:
        tables = self._tables
        tables.cipher.refresh()
        written = {"at": tables.now(), "clock_ahead": 0.0}
        tables.notes[name] = {**keys_note(tables.cipher), **note, **written}
        return 0.0

    async def progress(self) -> dict[str, dict[str, str | int | float]]:
        now = self._tables.now()
        oldest = now - self._tables.speed.stretched(PROGRESS_KEPT_S)
        return {
            name: note
            for name, note in self._tables.notes.items()
            if oldest <= float(note["at"]) <= now
        }

    async def agree_on_shards(self, shards: int) -> int:
        if self._tables.shards is None:
            self._tables.shards = shards
        return self._tables.shards

    async def shards(self) -> int | None:
        return self._tables.shards

    async def set_shards(self, shards: int) -> None:
        self._tables.shards = shards

    async def register_node(self, node: str) -> None:
        self._tables.nodes[node] = self._tables.now()

    async def nodes(self) -> list[str]:
        oldest = self._tables.now() - self._tables.speed.stretched(NODE_KEPT_S)
        return sorted(node for node, seen in self._tables.nodes.items() if seen >= oldest)
