"""Users in memory: see `store.Users`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from eagle_logger.core.schedule import first_turn_after
from eagle_logger.core.users import User, UserState
from eagle_logger.users.key_rotation import resealed, unreadable
from eagle_logger.users.known_keys import ALIVE_WITHIN_S, refuse_to_restore, refuse_unknown_key
from eagle_logger.users.memory.tables import Lease, RemovedUser, StoredRow, Tables
from eagle_logger.users.store import NewUser, Outline, StoredUser


class MemoryUsers:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def put(self, users: Sequence[NewUser]) -> None:
        now = self._tables.now()
        self._refuse_unknown_key(now)
        for new in users:
            due = now + first_turn_after(new.user.cloud_id, len(users))
            self._put(new.user, self._tables.cipher.seal(new.credentials), None, due, now)

    async def restore(self, users: Sequence[StoredUser]) -> None:
        now, cipher = self._tables.now(), self._tables.cipher
        for stored in users:
            cipher.open(stored.user.cloud_id, stored.sealed)
        sealed_with = {cipher.fingerprint_of(stored.sealed) for stored in users}
        alive = self._tables.speed.stretched(ALIVE_WITHIN_S)
        refuse_to_restore(sealed_with, self._tables.notes, now, alive)
        for stored in users:
            due = now + first_turn_after(stored.user.cloud_id, len(users))
            self._put(stored.user, stored.sealed, stored.state.forgiven(), due, now)

    async def get(self, cloud_id: str) -> StoredUser | None:
        row = self._tables.rows.get(cloud_id)
        return _stored_user(row) if row else None

    async def remove(self, cloud_id: str) -> bool:
        tables = self._tables
        row = tables.rows.pop(cloud_id, None)
        if row is None:
            return False
        ends = row.lease.ends if row.lease and row.lease.token else None
        tables.parkings.pop(cloud_id, None)
        tables.removed[cloud_id] = RemovedUser(tables.now() + tables.lease, row.last_request, ends)
        return True

    async def all(self, *, after: str = "", batch: int = 500) -> AsyncIterator[list[StoredUser]]:
        rows = self._tables.rows
        while names := sorted(name for name in rows if name > after)[:batch]:
            yield [_stored_user(rows[name]) for name in names]
            after = names[-1]

    async def outlines(self) -> AsyncIterator[list[Outline]]:
        yield [
            Outline.of(_stored_user(row), visited=row.state is not None)
            for _, row in sorted(self._tables.rows.items())
        ]

    async def reseal(self) -> int:
        rows = self._tables.rows
        self._refuse_unknown_key(self._tables.now())
        sealed = {name: row.sealed for name, row in rows.items()}
        changed, locked = resealed(self._tables.cipher, sealed)
        for cloud_id, password in changed.items():
            rows[cloud_id].sealed = password
        if locked:
            raise unreadable(locked)
        return len(changed)

    def _put(
        self, user: User, sealed: str, state: UserState | None, due: float, now: float
    ) -> None:
        row = self._tables.rows.get(user.cloud_id)
        if row is None:
            row = self._tables.rows[user.cloud_id] = StoredRow(user, sealed)
            self._start(row, due, now)
        elif row.lease:
            row.lease.updated = bool(row.lease.token)
        else:
            row.wake(due)
        row.user, row.sealed, row.abandoned, row.refused = user, sealed, 0, False
        row.unproven = state is None or row.state is not None
        row.state = state if row.state is None else row.state.forgiven()

    def _start(self, row: StoredRow, due: float, now: float) -> None:
        """A worker may still be fetching the user of this name that was removed. Then the new one
        waits under that lease, which no worker holds, and keeps its distance from that request."""
        former = self._tables.removed.pop(row.user.cloud_id, None)
        if former and former.remembered_until > now:
            row.last_request = former.last_request
        if former and former.lease_ends and former.lease_ends > now:
            token = self._tables.new_token(now)
            row.lease_to(Lease(due, due, former.lease_ends, announced=True, token=token))
        else:
            row.due = due

    def _refuse_unknown_key(self, now: float) -> None:
        tables = self._tables
        tables.cipher.refresh()
        refuse_unknown_key(tables.cipher, tables.notes, now, tables.speed.stretched(ALIVE_WITHIN_S))


def _stored_user(row: StoredRow) -> StoredUser:
    lease_ends = row.lease.ends if row.lease else None
    return StoredUser(row.user, row.sealed, row.state or UserState(), row.due, lease_ends)
