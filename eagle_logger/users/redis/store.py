"""Users in Redis: every step that must be whole is one script.

    eagle:users:<2 digits>   hash   id → record: cadence, sealed password eagle:states
    hash   id → state between visits eagle:troubles           hash   id → failures, last error, why
    parked; only of those who have any eagle:turns              hash   id → how it stands with its
    turn (scripts/common.lua) eagle:due, eagle:leased  zset   id, by when it falls due, by when its
    lease ends eagle:clock              when users were leased last eagle:steady             the
    machine that leased them, and its steady clock then eagle:tokens             the last token
    given out eagle:gone:<id>          a user was removed a lease ago or less eagle:once:<key>
    a request was carried out within the last two hours eagle:tally              hash   the system's
    counters eagle:unproven           set    id, if the relay has not answered since its credentials
    were entered eagle:refused            set    id, if the relay refuses it and it is not parked
    eagle:parkings           zset   id, by when the relay's refusals last called for parking it
    (core/parking.py) eagle:trial              whose reply is suspected to kill, and is tried now
    (core/poison_users.py) eagle:breaker            hash   how it stands with the relay: phase,
    since when, counters lately eagle:progress           hash   process → its last note eagle:nodes
    zset   node, by when it registered eagle:shards             the number agreed on

Scripts name keys they work out themselves: one Redis, not a cluster.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from struct import Struct

import structlog

from eagle_logger.clock import Clock
from eagle_logger.core.circuit_breaker import Breaker, Phase, Sample
from eagle_logger.core.clock_jumps import ClockJumps
from eagle_logger.core.parking import is_refused
from eagle_logger.core.redis_address import RedisAddress
from eagle_logger.core.schedule import REQUEST_GAP, bounded_pause
from eagle_logger.core.skew import skew
from eagle_logger.core.user_standing import OVERDUE_AFTER
from eagle_logger.core.users import Credentials, User
from eagle_logger.errors import ConfigurationError, NoSecretKey
from eagle_logger.users.cipher import Cipher
from eagle_logger.users.initial_spread import first_offset
from eagle_logger.users.key_rotation import resealed, unreadable
from eagle_logger.users.known_keys import ALIVE, keys_note, refuse_to_restore, refuse_unknown_key
from eagle_logger.users.redis.encoding import (
    decode_user,
    encode_state,
    encode_trouble,
    encode_user,
    read_state,
    recent_unreadable,
)
from eagle_logger.users.redis.listing import Row, outlines, pages, rows
from eagle_logger.users.redis.redis_connection import Argument, RedisConnection
from eagle_logger.users.redis.rows import moment_of, outline, progress_note, stored_user
from eagle_logger.users.store import (
    Claim,
    NewUser,
    Outline,
    Report,
    ReportResult,
    RequestResult,
    StoredUser,
    Totals,
    WakeResult,
)

_log = structlog.get_logger("eagle_logger.users.redis.store")

REQUEST_REMEMBERED = 7200
PROGRESS_KEPT = 3600.0
NODE_KEPT = 86400.0
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,30}")
_BATCH = 500
_OUTLINES = 2000
_LEASED_AT_ONCE = 1000
_RECORDS_KEPT = 65_536
_CLAIM, _REPORT = Struct("<dddHB"), Struct("<ddddd?B")
"""The numbers of a claim and of a report, as claim.lua and report.lua have them. A token is whole,
and smaller than 2**53."""
_BEGUN, _UNPROVEN = 1, 2
_BLAMES_RELAY, _ANSWERED, _REFUSED = 1, 2, 4
"""The flags in them."""


class RedisUserStore:
    """See `store.UserStore`. Lives on one event loop. `lease` is in real seconds; without a
    `cipher`, claims carry no credentials, and whatever writes or checks passwords raises
    NoSecretKey."""

    def __init__(
        self,
        address: RedisAddress | str,
        *,
        cipher: Cipher | None,
        clock: Clock | None = None,
        lease: float = 20.0,
    ) -> None:
        """`address` may be a URL too."""
        self._redis = RedisConnection(
            RedisAddress.parse(address) if isinstance(address, str) else address
        )
        self._cipher = cipher
        self._clock = clock or Clock()
        self._lease = lease
        self._jumps = ClockJumps()
        # The same record is read at every visit: decrypted once, it is known by its very bytes.
        self._known = lru_cache(_RECORDS_KEPT)(self._opened)

    async def ping(self) -> None:
        await self._redis.command("PING")

    async def close(self) -> None:
        await self._redis.close()

    async def now(self) -> float:
        if self._clock.is_accelerated:
            return self._clock.now()
        sent = time.monotonic()
        seconds, microseconds = await self._redis.command("TIME")
        now = int(seconds) + int(microseconds) / 1e6
        self._jumps.note(now, sent=sent, received=time.monotonic())
        return now

    # Scheduling -------------------------------------------------------------------------------------------------------
    async def lease(self, limit: int) -> list[str]:
        leased: list[str] = []
        while len(leased) < limit:  # in steps, so that nobody else waits long for Redis
            step = min(limit - len(leased), _LEASED_AT_ONCE)
            second, steady = self._clock.stretched(1.0), repr(self._clock.steady())
            args: list[Argument] = [*self._moment_and_lease(), step, second, _machine(), steady]
            more = _texts(await self._redis.run("lease", args))
            leased += more
            if len(more) < step:
                break
        return leased

    async def claim(self, cloud_ids: Sequence[str], holder: str) -> list[Claim]:
        gap, sent = self._clock.stretched(REQUEST_GAP), time.monotonic()
        now, *claimed = await self._redis.run(
            "claim", [*self._moment_and_lease(), gap, holder, *cloud_ids]
        )
        claims = [self._claim(float(now), entry) for entry in claimed]
        return (
            [_asked_just_now(claim) for claim in claims]
            if self._was_set(float(now), sent)
            else claims
        )

    async def begin(self, claims: Sequence[Claim]) -> frozenset[str]:
        held = [word for claim in claims for word in (claim.cloud_id, claim.token)]
        return frozenset(_texts(await self._redis.run("begin", [*self._moment_and_lease(), *held])))

    async def report(self, reports: Sequence[Report], tally: Mapping[str, int]) -> ReportResult:
        counters = [word for name, count in tally.items() for word in (name, count)]
        words = [word for report in reports for word in self._report_words(report)]
        missed, again, lost = await self._redis.run(
            "report", [*self._moment_and_lease(), len(tally), *counters, *words]
        )
        return ReportResult(frozenset(_texts(again)), frozenset(_texts(lost)), int(missed))

    async def request(self, cloud_ids: Sequence[str], *, once: str | None = None) -> RequestResult:
        key = "" if once is None else _once_key(once)
        args: list[Argument] = [
            *self._moment_and_lease(),
            key,
            REQUEST_REMEMBERED,
            *dict.fromkeys(cloud_ids),
        ]
        seen, *groups = await self._redis.run("request", args)
        leased, marked, unknown, parked = (tuple(_texts(group)) for group in groups)
        return RequestResult(leased, marked, unknown, parked, seen_before=bool(seen))

    async def forget(self, once: str | None, cloud_ids: Sequence[str] = ()) -> None:
        await self._redis.run(
            "forget",
            [self._moment(), "" if once is None else _once_key(once), *dict.fromkeys(cloud_ids)],
        )

    async def free(self, holder: str) -> list[str]:
        cursor: bytes = b"0"
        freed: list[str] = []
        while True:
            cursor, more = await self._redis.run(
                "free", [self._moment(), self._clock.stretched(1.0), holder, cursor]
            )
            freed += [cloud_id.decode() for cloud_id in more]
            if cursor == b"0":
                return freed

    # People -----------------------------------------------------------------------------------------------------------
    async def put(self, users: Sequence[NewUser]) -> None:
        cipher = await self._cipher_to_seal_with()
        await self._put(
            [
                (new.user.cloud_id, encode_user(new.user, cipher.seal(new.credentials)), b"")
                for new in users
            ]
        )

    async def restore(self, users: Sequence[StoredUser]) -> None:
        cipher = self._cipher_or_refuse()
        for stored in users:
            cipher.open(stored.user.cloud_id, stored.sealed)
        sealed_with = {cipher.fingerprint_of(stored.sealed) for stored in users}
        now, notes = await self.now(), await self.progress()
        refuse_to_restore(sealed_with, notes, now, self._clock.stretched(ALIVE))
        await self._put(
            [
                (one.user.cloud_id, encode_user(one.user, one.sealed), encode_state(one.state))
                for one in users
            ]
        )

    async def wake(self, cloud_ids: Sequence[str]) -> WakeResult:
        ids, answers = list(dict.fromkeys(cloud_ids)), []
        for start in range(0, len(ids), _BATCH):
            words: list[Argument] = [self._moment()]
            for cloud_id in ids[start : start + _BATCH]:
                words += [cloud_id, first_offset(cloud_id, len(ids))]
            answers.append(await self._redis.run("wake", words))
        woken, awake, unknown = (
            [one for answer in answers for one in _texts(answer[column])] for column in range(3)
        )
        return WakeResult(tuple(woken), tuple(awake), tuple(unknown))

    async def get(self, cloud_id: str) -> StoredUser | None:
        entry = await self._redis.run("get", [cloud_id])
        return stored_user(entry) if entry else None

    async def remove(self, cloud_id: str) -> bool:
        remembered = int(self._lease * 1000) + 1
        return bool(
            await self._redis.run("remove", [*self._moment_and_lease(), remembered, cloud_id])
        )

    async def all(self, *, after: str = "", batch: int = _BATCH) -> AsyncIterator[list[StoredUser]]:
        async for page in self._rows(after, batch):
            yield [stored_user(row) for row in page]

    async def outlines(self) -> AsyncIterator[list[Outline]]:
        asked: asyncio.Task[list[Row]] | None = None
        try:
            async for ids in pages(self._redis, "", _OUTLINES):
                # Redis works on the next page while whoever asks works on this one.
                former, asked = asked, asyncio.create_task(outlines(self._redis, ids))
                if former is not None:
                    yield [outline(row) for row in await former]
            if asked is not None:
                yield [outline(row) for row in await asked]
        finally:
            if asked is not None:
                asked.cancel()

    async def reseal(self) -> int:
        cipher, changed, locked = await self._cipher_to_seal_with(), 0, list[str]()
        async for page in self._rows("", _BATCH):
            waiting = [(row[0].decode(), row[1]) for row in page]
            while waiting:  # those somebody updated meanwhile are looked at again
                swaps, more_locked = resealed(cipher, waiting)
                locked += more_locked
                written = await self._redis.run("swap", [word for swap in swaps for word in swap])
                changed += len(written)
                waiting = [
                    (cloud_id, record)
                    for cloud_id, _, _ in swaps
                    if cloud_id.encode() not in written
                    and (record := await self._record(cloud_id)) is not None
                ]
        if locked:
            raise unreadable(locked)
        return changed

    # The system -------------------------------------------------------------------------------------------------------
    async def totals(self) -> Totals:
        words: list[Argument] = [self._moment(), self._clock.stretched(OVERDUE_AFTER)]
        users, due, overdue, leased, oldest, troubled, refused = await self._redis.run(
            "totals", words
        )
        parked = users - due - leased
        # Whoever is parked is in trouble; one who was updated a moment ago may be counted among
        # neither.
        failing = max(0, troubled - parked)
        return Totals(
            users, due, overdue, leased, parked, moment_of(oldest or None), failing, refused
        )

    async def tally(self) -> dict[str, int]:
        """The system's counters. One that is no number is left out; the next report begins it anew."""
        counters = (await self._hash("eagle:tally")).items()
        return {name: int(count) for name, count in counters if _WHOLE_NUMBER.fullmatch(count)}

    async def count(self, tally: Mapping[str, int]) -> None:
        await self.report([], tally)

    async def breaker(self) -> Breaker:
        found = await self._hash("eagle:breaker")
        if not found:
            return Breaker()
        try:
            samples = tuple(
                Sample(float(at), int(visits), int(failed))
                for at, visits, failed in json.loads(found["samples"])
            )
            return Breaker(Phase(found["phase"]), float(found["since"]), samples)
        except (ValueError, TypeError, KeyError) as exc:
            _log.warning(
                "breaker_unreadable", reason=repr(exc), detail="The breaker begins anew, closed."
            )
            return Breaker()

    async def set_breaker(self, breaker: Breaker) -> None:
        words = (
            "phase",
            str(breaker.phase),
            "since",
            breaker.since,
            "samples",
            json.dumps(breaker.samples),
        )
        await self._redis.command("HSET", "eagle:breaker", *words)

    async def note_progress(self, name: str, note: Mapping[str, str | int | float]) -> float:
        if self._cipher is not None:
            self._cipher.refresh()
        shown, sent = self._clock.now(), time.monotonic()
        now = await self.now()
        ahead = round(skew(shown, self._clock.stretched(time.monotonic() - sent), now), 3)
        text = json.dumps({**keys_note(self._cipher), **note, "at": now, "clock_ahead": ahead})
        await self._redis.command("HSET", "eagle:progress", name, text)
        return ahead

    async def progress(self) -> dict[str, dict[str, str | int | float]]:
        written, now = await self._hash("eagle:progress"), await self.now()
        oldest = now - self._clock.stretched(PROGRESS_KEPT)
        notes = {
            name: note
            for name, text in written.items()
            if (note := progress_note(text)) and oldest <= note["at"] <= now
        }
        stale = written.keys() - notes.keys()
        if stale:
            await self._redis.command("HDEL", "eagle:progress", *stale)
        return notes

    async def agree_on_shards(self, shards: int) -> int:
        await self._redis.command("SETNX", "eagle:shards", shards)
        return await self.shards() or shards

    async def shards(self) -> int | None:
        written = await self._redis.command("GET", "eagle:shards")
        if written is not None and not _WHOLE_NUMBER.fullmatch(written.decode(errors="replace")):
            raise ConfigurationError(
                f"eagle:shards in Redis should hold the number of shards, but it holds {written[:40]!r}: set it to the "
                "value that EAGLE_SHARDS had when this system was first started"
            )
        return None if written is None else int(written)

    async def set_shards(self, shards: int) -> None:
        await self._redis.command("SET", "eagle:shards", shards)

    async def register_node(self, node: str) -> None:
        await self._redis.command("ZADD", "eagle:nodes", await self.now(), node)

    async def nodes(self) -> list[str]:
        oldest = await self.now() - self._clock.stretched(NODE_KEPT)
        await self._redis.command("ZREMRANGEBYSCORE", "eagle:nodes", "-inf", f"({oldest!r}")
        nodes = _texts(await self._redis.command("ZRANGE", "eagle:nodes", 0, -1))
        return sorted(node for node in nodes if "\ufffd" not in node)

    async def check_invariant(self) -> list[str]:
        breaches = [
            breach async for batch in self.all() for stored in batch if (breach := stored.breach())
        ]
        for name in ("due", "leased"):
            breaches += [
                f"{cloud_id}: does not belong into {name}" for cloud_id in await self._strays(name)
            ]
        return breaches

    # How it is said to Redis ------------------------------------------------------------------------------------------
    def _moment(self) -> str:
        """Now, if Redis' own time is not the one that counts."""
        return repr(self._clock.now()) if self._clock.is_accelerated else ""

    def _was_set(self, now: float, sent: float) -> bool:
        """Whether Redis' clock was set a moment ago, so that it cannot show how long ago a gateway
        was asked."""
        if self._clock.is_accelerated:
            return False
        received = time.monotonic()
        self._jumps.note(now, sent=sent, received=received)
        return self._jumps.any_since(received - REQUEST_GAP)

    def _moment_and_lease(self) -> tuple[str, float]:
        return self._moment(), self._clock.stretched(self._lease)

    def _cipher_or_refuse(self) -> Cipher:
        if self._cipher is None:
            raise NoSecretKey
        return self._cipher

    async def _cipher_to_seal_with(self) -> Cipher:
        cipher = self._cipher_or_refuse()
        cipher.refresh()
        now, notes = await self.now(), await self.progress()
        refuse_unknown_key(cipher, notes, now, self._clock.stretched(ALIVE))
        return cipher

    def _claim(self, now: float, entry: Sequence[bytes]) -> Claim:
        name, numbers, record, state, trouble = entry
        cloud_id = name.decode()
        token, due, last_request, abandoned, flags = _CLAIM.unpack(numbers)
        user, credentials, record_unreadable = User(cloud_id), None, None
        try:
            user, credentials = self._user_and_credentials(cloud_id, record)
        except ValueError as exc:
            record_unreadable = str(exc)
        known, state_unreadable = read_state(state, trouble)
        return Claim(
            cloud_id=cloud_id,
            token=int(token),
            due=due,
            claimed_at=now,
            last_request=last_request or None,
            begun=bool(flags & _BEGUN),
            unproven=bool(flags & _UNPROVEN),
            user=user,
            credentials=credentials,
            state=known,
            abandoned=abandoned,
            state_unreadable=state_unreadable or recent_unreadable(known),
            record_unreadable=record_unreadable,
        )

    def _user_and_credentials(
        self, cloud_id: str, record: bytes
    ) -> tuple[User, Credentials | None]:
        """The user, without credentials if no key opens them. If none does, the key file is read
        again."""
        try:
            return self._known(cloud_id, record)
        except ValueError:
            if self._cipher is None or not self._cipher.refresh():
                return decode_user(cloud_id, record)[0], None
        return self._user_and_credentials(cloud_id, record)

    def _report_words(self, report: Report) -> tuple[Argument, ...]:
        grid, since, state = report.grid, report.since_request, report.state
        flags = (
            _BLAMES_RELAY * report.blames_relay
            + _ANSWERED * report.answered
            + _REFUSED * is_refused(state)
        )
        numbers = _REPORT.pack(
            report.token,
            grid.period,
            grid.phase,
            bounded_pause(report.pause),
            -1.0 if since is None else self._clock.stretched(since),
            state.parked is not None,
            flags,
        )
        if state.parked is not None:
            numbers += encode_trouble(state._replace(parked=None))
        return report.cloud_id, numbers, encode_state(state), encode_trouble(state)

    def _opened(self, cloud_id: str, record: bytes) -> tuple[User, Credentials | None]:
        user, sealed = decode_user(cloud_id, record)
        if self._cipher is None:
            return user, None
        return user, self._cipher.open(cloud_id, sealed)

    async def _put(self, entries: Sequence[tuple[str, bytes, bytes]]) -> None:
        words: list[Argument] = [self._moment()]
        for cloud_id, record, state in entries:
            words += [cloud_id, record, first_offset(cloud_id, len(entries)), state]
        await self._redis.run("put", words)

    async def _rows(self, after: str, batch: int) -> AsyncIterator[list[Row]]:
        """Full but for the last, whoever is removed meanwhile."""
        found: list[Row] = []
        async for ids in pages(self._redis, after, batch):
            found += await rows(self._redis, ids)
            if len(found) >= batch:
                yield found[:batch]
                del found[:batch]
        if found:
            yield found

    async def _record(self, cloud_id: str) -> bytes | None:
        entry = await self._redis.run("get", [cloud_id])
        return entry[1] if entry else None

    async def _hash(self, key: str) -> dict[str, str]:
        entries = await self._redis.command("HGETALL", key)
        return {
            name.decode(errors="replace"): value.decode(errors="replace")
            for name, value in entries.items()
        }

    async def _strays(self, name: str) -> list[str]:
        cursor, strays = b"0", list[str]()
        while True:
            cursor, more = await self._redis.run("strays", [name, cursor])
            strays += _texts(more)
            if cursor == b"0":
                return strays


def _asked_just_now(claim: Claim) -> Claim:
    return claim._replace(last_request=claim.claimed_at, begun=False)


@cache
def _machine() -> str:
    """A name for this machine's steady clock. Its processes share it until the machine restarts."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return uuid.uuid4().hex


def _once_key(once: str) -> str:
    return f"eagle:once:{once}"


def _texts(words: Sequence[bytes]) -> list[str]:
    return [word.decode(errors="replace") for word in words]
