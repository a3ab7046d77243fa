"""Users in Redis: see `store.Users`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

from eagle_logger.core.schedule import first_turn_after
from eagle_logger.errors import NoSecretKey
from eagle_logger.users.cipher import Cipher
from eagle_logger.users.key_rotation import resealed, unreadable
from eagle_logger.users.known_keys import ALIVE_WITHIN_S, refuse_to_restore, refuse_unknown_key
from eagle_logger.users.redis.encoding import decode_user, encode_state, encode_user, with_password
from eagle_logger.users.redis.listing import Row, pages, rows, rows_with_anything
from eagle_logger.users.redis.redis_connection import Argument, RedisConnection
from eagle_logger.users.redis.redis_time import RedisTime
from eagle_logger.users.redis.rows import outline, stored_user
from eagle_logger.users.store import Fleet, NewUser, Outline, StoredUser

_RESEALED_AT_ONCE = 500
_OUTLINES_AT_ONCE = 2000


class RedisUsers:
    """`fleet` shows which processes are alive and which keys they know."""

    def __init__(
        self, redis: RedisConnection, time: RedisTime, cipher: Cipher | None, fleet: Fleet
    ) -> None:
        self._redis = redis
        self._time = time
        self._cipher = cipher
        self._fleet = fleet

    async def put(self, users: Sequence[NewUser]) -> None:
        cipher = await self._cipher_to_seal_with()
        records = [encode_user(new.user, cipher.seal(new.credentials)) for new in users]
        ids = [new.user.cloud_id for new in users]
        await self._write(
            [(cloud_id, record, b"") for cloud_id, record in zip(ids, records, strict=True)]
        )

    async def restore(self, users: Sequence[StoredUser]) -> None:
        cipher = self._cipher_or_refuse()
        for stored in users:
            cipher.open(stored.user.cloud_id, stored.sealed)
        sealed_with = {cipher.fingerprint_of(stored.sealed) for stored in users}
        now, notes = await self._fleet.now(), await self._fleet.progress()
        refuse_to_restore(sealed_with, notes, now, self._time.clock.stretched(ALIVE_WITHIN_S))
        await self._write(
            [
                (
                    stored.user.cloud_id,
                    encode_user(stored.user, stored.sealed),
                    encode_state(stored.state),
                )
                for stored in users
            ]
        )

    async def get(self, cloud_id: str) -> StoredUser | None:
        row = await self._redis.run("get", [cloud_id])
        return stored_user(row) if row else None

    async def remove(self, cloud_id: str) -> bool:
        arguments: list[Argument] = [
            *self._time.script_now_and_lease(),
            self._time.lease_ms,
            cloud_id,
        ]
        return bool(await self._redis.run("remove", arguments))

    async def all(self, *, after: str = "", batch: int = 500) -> AsyncIterator[list[StoredUser]]:
        async for page in self._rows(after, batch):
            yield [stored_user(row) for row in page]

    async def outlines(self) -> AsyncIterator[list[Outline]]:
        next_page: asyncio.Task[list[Row]] | None = None
        try:
            async for ids in pages(self._redis, "", _OUTLINES_AT_ONCE):
                # Redis works on the next page while the caller works on this one.
                page, next_page = (
                    next_page,
                    asyncio.create_task(rows_with_anything(self._redis, ids)),
                )
                if page is not None:
                    yield [outline(row) for row in await page]
            if next_page is not None:
                yield [outline(row) for row in await next_page]
        finally:
            if next_page is not None:
                next_page.cancel()

    async def reseal(self) -> int:
        cipher, changed, locked = await self._cipher_to_seal_with(), 0, list[str]()
        async for page in self._rows("", _RESEALED_AT_ONCE):
            records: dict[str, bytes] = {row[0].decode(): row[1] for row in page}
            while records:
                swaps, more_locked = _swaps(cipher, records)
                locked += more_locked
                written = await self._redis.run("swap", [word for swap in swaps for word in swap])
                changed += len(written)
                # A record that was updated since it was read was left alone, and is read again.
                updated = [swap[0] for swap in swaps if swap[0].encode() not in written]
                records = {
                    cloud_id: record
                    for cloud_id in updated
                    if (record := await self._record(cloud_id)) is not None
                }
        if locked:
            raise unreadable(locked)
        return changed

    def _cipher_or_refuse(self) -> Cipher:
        if self._cipher is None:
            raise NoSecretKey
        return self._cipher

    async def _cipher_to_seal_with(self) -> Cipher:
        cipher = self._cipher_or_refuse()
        cipher.refresh()
        now, notes = await self._fleet.now(), await self._fleet.progress()
        refuse_unknown_key(cipher, notes, now, self._time.clock.stretched(ALIVE_WITHIN_S))
        return cipher

    async def _write(self, entries: Sequence[tuple[str, bytes, bytes]]) -> None:
        """Write these users: cloud id, record, and a state or nothing."""
        words: list[Argument] = [self._time.script_now()]
        for cloud_id, record, state in entries:
            words += [cloud_id, record, first_turn_after(cloud_id, len(entries)), state]
        await self._redis.run("put", words)

    async def _rows(self, after: str, batch: int) -> AsyncIterator[list[Row]]:
        """Pages of `batch` rows. Only the last is shorter, even if users are removed meanwhile."""
        waiting: list[Row] = []
        async for ids in pages(self._redis, after, batch):
            waiting += await rows(self._redis, ids)
            if len(waiting) >= batch:
                yield waiting[:batch]
                del waiting[:batch]
        if waiting:
            yield waiting

    async def _record(self, cloud_id: str) -> bytes | None:
        row = await self._redis.run("get", [cloud_id])
        return row[1] if row else None


def _swaps(
    cipher: Cipher, records: Mapping[str, bytes]
) -> tuple[list[tuple[str, bytes, bytes]], list[str]]:
    """For each record whose password is not sealed with the newest key: cloud id, the record, and
    the one to write in its place; and the cloud ids whose password cannot be decrypted."""
    sealed: dict[str, str] = {}
    unreadable_records: list[str] = []
    for cloud_id, record in records.items():
        try:
            sealed[cloud_id] = decode_user(cloud_id, record)[1]
        except ValueError:
            unreadable_records.append(cloud_id)
    changed, locked = resealed(cipher, sealed)
    swaps = [
        (cloud_id, records[cloud_id], with_password(records[cloud_id], password))
        for cloud_id, password in changed.items()
    ]
    return swaps, unreadable_records + locked
