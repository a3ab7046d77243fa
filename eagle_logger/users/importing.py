"""Import many users from lines of JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from eagle_logger.users.store import NewUser, StoredUser, Users
from eagle_logger.users.user_json import parse_line

USERS_PER_BATCH = 500
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(slots=True)
class Imported:
    """What became of the lines. Each was imported whole or refused."""

    users: int = 0
    """Lines that were imported."""
    refused: list[tuple[int, str]] = field(default_factory=list)
    """The number of each refused line, and what is wrong with it."""
    replaced: list[tuple[int, str]] = field(default_factory=list)
    """The number of each line that replaced an earlier one of the same user, and a message."""


async def import_users(
    users: Users, lines: Iterable[bytes], *, on_line: Callable[[int], None]
) -> Imported:
    """Put the user of every line into the store, in batches. Blank lines are skipped. `on_line` is
    called with the length of each line in bytes.

    Raises RedisUnavailable. Earlier batches then stay imported. To import them again does no harm.
    """
    importer = _Importer(users)
    for number, line in enumerate(lines, 1):
        await importer.add(number, line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line)
        on_line(len(line))
    await importer.write()
    importer.result.refused.sort()
    return importer.result


class _Importer:
    def __init__(self, users: Users) -> None:
        self.result = Imported()
        self._users = users
        self._waiting: dict[str, tuple[int, NewUser | StoredUser]] = {}
        self._lines: dict[str, int] = {}

    async def add(self, number: int, line: bytes) -> None:
        if not line.strip():
            return
        try:
            user = parse_line(line)
        except ValueError as exc:
            self.result.refused.append((number, str(exc)))
            return
        cloud_id = user.user.cloud_id
        if cloud_id in self._waiting or len(self._waiting) >= USERS_PER_BATCH:
            await self.write()
        if cloud_id in self._lines:
            self.result.replaced.append(
                (number, f"{cloud_id} again: it replaces line {self._lines[cloud_id]}")
            )
        self._lines[cloud_id] = number
        self._waiting[cloud_id] = number, user

    async def write(self) -> None:
        waiting, self._waiting = list(self._waiting.values()), {}
        new = [user for _, user in waiting if isinstance(user, NewUser)]
        sealed = [(number, user) for number, user in waiting if isinstance(user, StoredUser)]
        if new:
            await self._users.put(new)
        refused = await self._restore(sealed)
        self.result.users += len(waiting) - refused

    async def _restore(self, sealed: list[tuple[int, StoredUser]]) -> int:
        """Restore all in one call or, if one cannot be restored, one by one. Returns how many were
        refused."""
        if not sealed:
            return 0
        try:
            await self._users.restore([user for _, user in sealed])
        except ValueError as exc:
            if len(sealed) == 1:
                self.result.refused.append((sealed[0][0], str(exc)))
                return 1
            return sum([await self._restore([line]) for line in sealed])
        return 0
