"""Many users at once, from lines of JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from eagle_logger.users.store import NewUser, StoredUser, Users
from eagle_logger.users.user_json import parse_line

BATCH = 500
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(slots=True)
class Imported:
    """What became of the lines: every one is imported whole or refused. `replaced`: a later line of
    the same user won."""

    users: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)
    replaced: list[tuple[int, str]] = field(default_factory=list)


async def import_users(
    users: Users, lines: Iterable[bytes], *, tell: Callable[[int], None]
) -> Imported:
    """Put every line's user into the store, in batches; blank lines are passed over. `tell` hears
    of every line's bytes.

    Raises RedisUnavailable; what came before it stays imported, and importing again does no harm.
    """
    importer = _Importer(users)
    for number, line in enumerate(lines, 1):
        await importer.take(number, line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line)
        tell(len(line))
    await importer.write()
    importer.result.refused.sort()
    return importer.result


class _Importer:
    def __init__(self, users: Users) -> None:
        self.result = Imported()
        self._users = users
        self._waiting: dict[str, tuple[int, NewUser | StoredUser]] = {}
        self._lines: dict[str, int] = {}

    async def take(self, number: int, line: bytes) -> None:
        if not line.strip():
            return
        try:
            user = parse_line(line)
        except ValueError as exc:
            self.result.refused.append((number, str(exc)))
            return
        cloud_id = user.user.cloud_id
        if cloud_id in self._waiting or len(self._waiting) >= BATCH:
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
        """Restore all together or, if one of them cannot be, one by one; how many were refused."""
        if not sealed:
            return 0
        try:
            await self._users.restore([user for _, user in sealed])
        except ValueError as exc:
            if len(sealed) == 1:
                self.result.refused.append((sealed[0][0], str(exc)))
                return 1
            return sum([await self._restore([one]) for one in sealed])
        return 0
