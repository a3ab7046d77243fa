"""Due times, leases and claims in Redis: see `store.Schedule`."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from struct import Struct

from eagle_logger.core.parking import is_refused
from eagle_logger.core.schedule import REQUEST_GAP, bounded_pause, first_turn_after
from eagle_logger.core.users import Credentials, User
from eagle_logger.users.cipher import Cipher
from eagle_logger.users.redis.encoding import (
    decode_user,
    encode_state,
    encode_trouble,
    read_state,
    recent_unreadable,
)
from eagle_logger.users.redis.redis_connection import Argument, RedisConnection
from eagle_logger.users.redis.redis_time import RedisTime
from eagle_logger.users.store import (
    REQUEST_REMEMBERED_S,
    Claim,
    Report,
    ReportResult,
    RequestResult,
    WakeResult,
)

_LEASED_AT_ONCE = 1000
"""Users leased in one step. Other clients of Redis wait for no more than one step."""
_WOKEN_AT_ONCE = 500
_DECRYPTED_KEPT = 65_536
"""Decrypted records kept, by their very bytes: the same record is read at every visit."""

_CLAIM, _REPORT = Struct("<dddHB"), Struct("<ddddd?B")
"""The numbers of a claim and of a report, as claim.lua and report.lua have them. A token is whole
and smaller than 2**53, so a double holds it exactly."""
_BEGUN, _UNPROVEN = 1, 2
"""The flags of a claim."""
_BLAMES_RELAY, _ANSWERED, _REFUSED = 1, 2, 4
"""The flags of a report."""


class RedisSchedule:
    def __init__(self, redis: RedisConnection, time: RedisTime, cipher: Cipher | None) -> None:
        self._redis = redis
        self._time = time
        self._cipher = cipher
        self._decrypted = lru_cache(_DECRYPTED_KEPT)(self._decrypt)

    async def lease(self, limit: int) -> list[str]:
        leased: list[str] = []
        while len(leased) < limit:
            step = min(limit - len(leased), _LEASED_AT_ONCE)
            second, steady = self._time.clock.stretched(1.0), repr(self._time.clock.steady())
            arguments: list[Argument] = [
                *self._time.script_now_and_lease(),
                step,
                second,
                _machine(),
                steady,
            ]
            more = _texts(await self._redis.run("lease", arguments))
            leased += more
            if len(more) < step:
                break
        return leased

    async def claim(self, cloud_ids: Sequence[str], holder: str) -> list[Claim]:
        gap, sent = self._time.clock.stretched(REQUEST_GAP), time.monotonic()
        now, *claimed = await self._redis.run(
            "claim", [*self._time.script_now_and_lease(), gap, holder, *cloud_ids]
        )
        claims = [self._claim(float(now), row) for row in claimed]
        if self._time.was_set(float(now), sent):
            return [claim._replace(last_request=claim.claimed_at, begun=False) for claim in claims]
        return claims

    async def begin(self, claims: Sequence[Claim]) -> frozenset[str]:
        words = [word for claim in claims for word in (claim.cloud_id, claim.token)]
        held = await self._redis.run("begin", [*self._time.script_now_and_lease(), *words])
        return frozenset(_texts(held))

    async def report(self, reports: Sequence[Report], tally: Mapping[str, int]) -> ReportResult:
        counters = [word for name, count in tally.items() for word in (name, count)]
        words = [word for report in reports for word in self._report_words(report)]
        missed, again, lost = await self._redis.run(
            "report", [*self._time.script_now_and_lease(), len(tally), *counters, *words]
        )
        return ReportResult(frozenset(_texts(again)), frozenset(_texts(lost)), int(missed))

    async def request(self, cloud_ids: Sequence[str], *, once: str | None = None) -> RequestResult:
        arguments: list[Argument] = [
            *self._time.script_now_and_lease(),
            _once_key(once),
            REQUEST_REMEMBERED_S,
            *dict.fromkeys(cloud_ids),
        ]
        seen, *groups = await self._redis.run("request", arguments)
        leased, marked, unknown, parked = (tuple(_texts(group)) for group in groups)
        return RequestResult(leased, marked, unknown, parked, seen_before=bool(seen))

    async def forget(self, once: str | None, cloud_ids: Sequence[str] = ()) -> None:
        await self._redis.run(
            "forget", [self._time.script_now(), _once_key(once), *dict.fromkeys(cloud_ids)]
        )

    async def free(self, holder: str) -> list[str]:
        cursor: bytes = b"0"
        freed: list[str] = []
        while True:
            second = self._time.clock.stretched(1.0)
            cursor, more = await self._redis.run(
                "free", [self._time.script_now(), second, holder, cursor]
            )
            freed += [cloud_id.decode() for cloud_id in more]
            if cursor == b"0":
                return freed

    async def wake(self, cloud_ids: Sequence[str]) -> WakeResult:
        ids = list(dict.fromkeys(cloud_ids))
        groups: tuple[list[str], ...] = ([], [], [])
        for start in range(0, len(ids), _WOKEN_AT_ONCE):
            words: list[Argument] = [self._time.script_now()]
            for cloud_id in ids[start : start + _WOKEN_AT_ONCE]:
                words += [cloud_id, first_turn_after(cloud_id, len(ids))]
            answer = await self._redis.run("wake", words)
            for group, more in zip(groups, answer, strict=True):
                group.extend(_texts(more))
        woken, awake, unknown = map(tuple, groups)
        return WakeResult(woken, awake, unknown)

    def _claim(self, now: float, row: Sequence[bytes]) -> Claim:
        name, numbers, record, written_state, trouble = row
        cloud_id = name.decode()
        token, due, last_request, abandoned, flags = _CLAIM.unpack(numbers)
        user, credentials, record_unreadable = User(cloud_id), None, None
        try:
            user, credentials = self._user_and_credentials(cloud_id, record)
        except ValueError as exc:
            record_unreadable = str(exc)
        state, state_unreadable = read_state(written_state, trouble)
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
            state=state,
            abandoned=abandoned,
            state_unreadable=state_unreadable or recent_unreadable(state),
            record_unreadable=record_unreadable,
        )

    def _user_and_credentials(
        self, cloud_id: str, record: bytes
    ) -> tuple[User, Credentials | None]:
        """The user, without credentials if no key decrypts them. The key file is read again first.
        Raises ValueError if the record cannot be read."""
        try:
            return self._decrypted(cloud_id, record)
        except ValueError:
            if self._cipher is None or not self._cipher.refresh():
                return decode_user(cloud_id, record)[0], None
        return self._user_and_credentials(cloud_id, record)

    def _decrypt(self, cloud_id: str, record: bytes) -> tuple[User, Credentials | None]:
        user, sealed = decode_user(cloud_id, record)
        if self._cipher is None:
            return user, None
        return user, self._cipher.open(cloud_id, sealed)

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
            -1.0 if since is None else self._time.clock.stretched(since),
            state.parked is not None,
            flags,
        )
        if state.parked is not None:
            # The trouble to write if the script does not park the user after all.
            numbers += encode_trouble(state._replace(parked=None))
        return report.cloud_id, numbers, encode_state(state), encode_trouble(state)


@cache
def _machine() -> str:
    """A name for this machine's steady clock. Its processes share it until the machine restarts."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return uuid.uuid4().hex


def _once_key(once: str | None) -> str:
    return "" if once is None else f"eagle:once:{once}"


def _texts(words: Sequence[bytes]) -> list[str]:
    return [word.decode(errors="replace") for word in words]
