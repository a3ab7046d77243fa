"""Users in memory: the Redis store's twin, for tests and for trying things out. The same answers,
nothing kept."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from eagle_logger.clock import Clock
from eagle_logger.core import parking, poison_users
from eagle_logger.core.circuit_breaker import Breaker, Phase
from eagle_logger.core.schedule import REQUEST_GAP, bounded_pause, missed_turns, next_due
from eagle_logger.core.user_standing import OVERDUE_AFTER
from eagle_logger.core.users import Credentials, User, UserState
from eagle_logger.users.cipher import Cipher, new_key
from eagle_logger.users.initial_spread import first_offset
from eagle_logger.users.key_rotation import resealed, unreadable
from eagle_logger.users.known_keys import ALIVE, keys_note, refuse_to_restore, refuse_unknown_key
from eagle_logger.users.memory.stored_rows import FleetFacts, Lease, RemovedUser, StoredRow
from eagle_logger.users.redis.encoding import decode_user, encode_user, forgiven
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

REQUEST_REMEMBERED = 7200.0
PROGRESS_KEPT = 3600.0
NODE_KEPT = 86400.0
CLOCK_BACK, CLOCK_FORWARD = 10.0, 4.0


class MemoryUserStore:
    """See `store.UserStore`. Time comes from a Clock or from anything that says Unix seconds;
    `lease` is in real seconds. Without a `cipher` it makes itself a key that dies with it."""

    def __init__(
        self,
        clock: Clock | Callable[[], float] | None = None,
        *,
        cipher: Cipher | None = None,
        lease: float = 20.0,
    ) -> None:
        timed = Clock() if clock is None else clock
        self._speed = timed if isinstance(timed, Clock) else Clock()
        self._now = timed.now if isinstance(timed, Clock) else timed
        self._steady = timed.steady if isinstance(timed, Clock) else timed
        self._cipher = cipher or Cipher([new_key()])
        self._lease = self._speed.stretched(lease)
        self._users: dict[str, StoredRow] = {}
        self._gone: dict[str, RemovedUser] = {}
        self._last_token = 0
        self._system = FleetFacts()

    async def ping(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def now(self) -> float:
        return self._now()

    # Scheduling -------------------------------------------------------------------------------------------------------
    async def lease(self, limit: int) -> list[str]:
        now = self._now()
        self._note_the_clock(now)
        for _, cloud_id in sorted(
            (e.lease.ends, name)
            for name, e in self._users.items()
            if e.lease and e.lease.ends <= now
        )[:limit]:
            self._give_back(self._users[cloud_id], now)
        due = sorted(
            (e.due, name) for name, e in self._users.items() if e.due is not None and e.due <= now
        )[:limit]
        everybody = [
            poison_users.SuspectedUser(self._users[name].abandoned, since, name)
            for since, name in due
        ]
        suspects = [one for one in everybody if poison_users.is_suspect(one.deaths)]
        aside = {suspect.cloud_id for suspect in suspects}
        leased = [(since, name) for since, name in due if name not in aside] + self._tried(
            suspects, now
        )
        for since, cloud_id in leased:
            self._lease_to(self._users[cloud_id], Lease(since, since, now + self._lease))
        return [cloud_id for _, cloud_id in leased]

    def _note_the_clock(self, now: float) -> None:
        """Notice that the clock was set. Set back, it keeps no due user waiting; set forward, it
        ends no lease early."""
        system, steady = self._system, self._steady()
        passed = now - (system.clock or now)
        jumped = passed - self._speed.stretched(max(0.0, steady - system.steady))
        if passed < -self._speed.stretched(CLOCK_BACK):
            self._move_leases(passed, math.inf)
            for entry in self._users.values():
                entry.due = None if entry.due is None else entry.due + passed
        elif jumped > self._speed.stretched(CLOCK_FORWARD):
            self._move_leases(jumped, now + self._lease)
        system.clock, system.steady = now, steady

    def _move_leases(self, by: float, latest: float) -> None:
        for lease in (entry.lease for entry in self._users.values() if entry.lease):
            lease.ends = min(lease.ends + by, latest)

    def _give_back(self, entry: StoredRow, now: float) -> None:
        entry.give_back(now)
        if entry.due is not None and poison_users.is_suspect(entry.abandoned):
            entry.due = now + self._speed.stretched(poison_users.REST)

    def _tried(
        self, suspects: Sequence[poison_users.SuspectedUser], now: float
    ) -> list[tuple[float, str]]:
        """Those of the suspects whose turn has come; the others wait."""
        if not suspects:
            return []
        chosen: list[poison_users.SuspectedUser] = []
        if not any(
            e.lease and poison_users.is_suspect(e.abandoned)
            for one in self._system.tried
            if (e := self._users.get(one))
        ):
            chosen = poison_users.tried_next(suspects)
            self._system.tried = frozenset(suspect.cloud_id for suspect in chosen)
            self._system.convicting = poison_users.can_convict(suspects)
        for suspect in suspects:
            if suspect not in chosen:
                self._users[suspect.cloud_id].due = now + self._speed.stretched(poison_users.WAIT)
        return [(suspect.due, suspect.cloud_id) for suspect in chosen]

    async def claim(self, cloud_ids: Sequence[str], holder: str) -> list[Claim]:
        now = self._now()
        return [claim for cloud_id in cloud_ids if (claim := self._claim(cloud_id, holder, now))]

    def _claim(self, cloud_id: str, holder: str, now: float) -> Claim | None:
        entry = self._users.get(cloud_id)
        if entry is None or entry.lease is None or entry.lease.token:
            return None
        entry.lease.token, entry.lease.holder, entry.lease.ends = (
            self._new_token(now),
            holder,
            now + self._lease,
        )
        before, deaths, tried = entry.last_request, entry.abandoned, cloud_id in self._system.tried
        begun = before is None or now - before >= self._speed.stretched(REQUEST_GAP)
        if before is None:
            entry.lease.scheduled = now  # a user who was never visited has missed no turn
        if begun:
            entry.last_request = now
        entry.abandoned = poison_users.deaths_if_it_dies(
            deaths, tried=tried, convicting=self._system.convicting
        )
        return Claim(
            cloud_id=cloud_id,
            token=entry.lease.token,
            due=min(entry.lease.due, now),
            claimed_at=now,
            last_request=None if before is None else min(before, now),
            begun=begun,
            user=entry.user,
            credentials=self._opened(cloud_id, entry.sealed),
            state=entry.state or UserState(),
            abandoned=deaths,
            unproven=entry.unproven,
        )

    def _new_token(self, now: float) -> int:
        self._last_token = max(self._last_token + 1, int(now * 1e6))
        return self._last_token

    def _opened(self, cloud_id: str, sealed: str) -> Credentials | None:
        try:
            return self._cipher.open(cloud_id, sealed)
        except ValueError:
            return None

    async def begin(self, claims: Sequence[Claim]) -> frozenset[str]:
        now, held = self._now(), set()
        for claim in claims:
            if lease := self._held(claim.cloud_id, claim.token):
                lease.ends = now + self._lease
                self._users[claim.cloud_id].last_request = now
                held.add(claim.cloud_id)
        return frozenset(held)

    async def report(self, reports: Sequence[Report], tally: Mapping[str, int]) -> ReportResult:
        now, missed, again, lost = self._now(), 0, set(), set()
        stay = self._who_is_not_to_be_parked(reports, now)
        for report in reports:
            lease = self._held(report.cloud_id, report.token)
            if lease is None:
                lost.add(report.cloud_id)
                continue
            taken = self._excused(report)
            missed += _missed(taken, lease, now)
            if report.cloud_id in stay:
                taken = taken._replace(state=taken.state._replace(parked=None))
            self._note_refusal(taken, lease, excused=self._is_excused(report))
            if self._take(taken, lease, now):
                again.add(report.cloud_id)
        self._system.tally.update(tally)
        if missed:
            self._system.tally["missed_turns"] += missed
        return ReportResult(frozenset(again), frozenset(lost), missed)

    def _who_is_not_to_be_parked(self, reports: Sequence[Report], now: float) -> list[str]:
        """The users whom these reports would park, if the relay refuses so many users that it is
        not believed; else nobody."""
        held = [
            report
            for report in reports
            if (lease := self._held(report.cloud_id, report.token)) and not lease.updated
        ]
        refused = [
            report for report in held if report.state.parked and parking.is_refused(report.state)
        ]
        would_park = [report.cloud_id for report in refused if not self._is_excused(report)]
        if not would_park:
            return []
        earlier = {
            name: at for name, at in self._system.parkings.items() if at > now - parking.WITHIN
        }
        self._system.parkings = {**earlier, **dict.fromkeys(would_park, now)}
        if not parking.many_at_once(len(self._system.parkings), len(self._users)):
            return []
        for entry in (self._users[name] for name in self._system.parkings):
            if entry.due is None and entry.lease is None:
                self._wake(entry, now)
        return would_park

    def _note_refusal(self, report: Report, lease: Lease, *, excused: bool) -> None:
        entry = self._users[report.cloud_id]
        if report.answered and not lease.updated:
            entry.unproven = False
        if lease.updated or not excused:
            entry.refused = (
                parking.is_refused(report.state) and not report.state.parked and not lease.updated
            )

    def _is_excused(self, report: Report) -> bool:
        return self._system.breaker.phase is not Phase.CLOSED and report.blames_relay

    def _excused(self, report: Report) -> Report:
        """While the relay is away, what fails by its doing leaves the user's failures as they were."""
        if not self._is_excused(report):
            return report
        before = self._users[report.cloud_id].state or UserState()
        state = report.state._replace(
            failures=before.failures, last_error=before.last_error, parked=None
        )
        return report._replace(
            state=state, pause=0.0 if parking.is_refused(report.state) else report.pause
        )

    def _take(self, report: Report, lease: Lease, now: float) -> bool:
        """Write state and re-arm; whether the user is to be fetched again instead."""
        entry = self._users[report.cloud_id]
        entry.state = forgiven(report.state) if lease.updated else report.state
        entry.abandoned = 0
        if report.since_request is not None:
            entry.last_request = now - self._speed.stretched(report.since_request)
        if lease.marked and not lease.updated and not entry.state.parked:
            lease.marked, lease.due, lease.scheduled, lease.ends = (
                False,
                now,
                now,
                now + self._lease,
            )
            return True
        entry.lease = None
        if not entry.state.parked:
            pause = 0.0 if lease.updated else bounded_pause(report.pause)
            entry.due = now if lease.marked else next_due(now + pause, report.grid)
        return False

    async def request(self, cloud_ids: Sequence[str], *, once: str | None = None) -> RequestResult:
        now = self._now()
        if once is not None:
            if self._system.requests.get(once, now) > now:
                return RequestResult((), (), (), (), seen_before=True)
            self._system.requests[once] = now + self._speed.stretched(REQUEST_REMEMBERED)
        leased: list[str] = []
        marked: list[str] = []
        unknown: list[str] = []
        parked: list[str] = []
        groups = {"leased": leased, "marked": marked, "unknown": unknown, "parked": parked}
        for cloud_id in dict.fromkeys(cloud_ids):
            groups[self._request(cloud_id, now)].append(cloud_id)
        return RequestResult(tuple(leased), tuple(marked), tuple(unknown), tuple(parked))

    def _request(self, cloud_id: str, now: float) -> str:
        entry = self._users.get(cloud_id)
        if entry is None:
            return "unknown"
        if entry.lease and (entry.lease.token or entry.lease.announced):
            entry.lease.marked = bool(entry.lease.token)
            return "marked"
        if entry.lease:
            entry.lease.announced = True
            return "leased"
        if entry.due is None:
            return "parked"
        self._lease_to(
            entry, Lease(min(entry.due, now), entry.due, now + self._lease, announced=True)
        )
        return "leased"

    async def forget(self, once: str | None, cloud_ids: Sequence[str] = ()) -> None:
        self._system.requests.pop(once or "", None)
        for entry in (self._users[cloud_id] for cloud_id in cloud_ids if cloud_id in self._users):
            if entry.lease and entry.lease.announced and not entry.lease.token:
                entry.give_back(self._now())

    async def free(self, holder: str) -> list[str]:
        held = [
            (i, e)
            for i, e in self._users.items()
            if e.lease and e.lease.token and e.lease.holder == holder
        ]
        now = self._now()
        for _, entry in held:
            entry.last_request = now
            self._give_back(entry, now)
        return [cloud_id for cloud_id, _ in held]

    def _held(self, cloud_id: str, token: int) -> Lease | None:
        entry = self._users.get(cloud_id)
        return entry.lease if entry and entry.lease and entry.lease.token == token else None

    @staticmethod
    def _lease_to(entry: StoredRow, lease: Lease) -> None:
        entry.due, entry.lease = None, lease

    # People -----------------------------------------------------------------------------------------------------------
    async def put(self, users: Sequence[NewUser]) -> None:
        now = self._now()
        self._refuse_unknown_key()
        for new in users:
            due = now + first_offset(new.user.cloud_id, len(users))
            self._put(new.user, self._cipher.seal(new.credentials), None, due, now)

    async def restore(self, users: Sequence[StoredUser]) -> None:
        now = self._now()
        for stored in users:
            self._cipher.open(stored.user.cloud_id, stored.sealed)
        sealed_with = {self._cipher.fingerprint_of(stored.sealed) for stored in users}
        refuse_to_restore(sealed_with, self._system.notes, now, self._speed.stretched(ALIVE))
        for stored in users:
            due = now + first_offset(stored.user.cloud_id, len(users))
            self._put(stored.user, stored.sealed, forgiven(stored.state), due, now)

    def _put(
        self, user: User, sealed: str, state: UserState | None, due: float, now: float
    ) -> None:
        entry = self._users.get(user.cloud_id)
        if entry is None:
            entry = self._users[user.cloud_id] = StoredRow(user, sealed)
            self._place(entry, due, now)
        elif entry.lease:
            entry.lease.updated = bool(entry.lease.token)
        else:
            self._wake(entry, due)
        entry.user, entry.sealed, entry.abandoned, entry.refused = user, sealed, 0, False
        entry.unproven = state is None or entry.state is not None
        entry.state = state if entry.state is None else forgiven(entry.state)

    @staticmethod
    def _wake(entry: StoredRow, due: float) -> None:
        entry.due = due if entry.due is None else min(due, entry.due)
        entry.abandoned, entry.refused = 0, False
        entry.state = forgiven(entry.state) if entry.state else None

    def _place(self, entry: StoredRow, due: float, now: float) -> None:
        gone = self._gone.pop(entry.user.cloud_id, None)
        if gone and gone.remembered_until > now:
            entry.last_request = gone.last_request
        if gone and gone.lease_ends and gone.lease_ends > now:
            entry.lease = Lease(
                due, due, gone.lease_ends, announced=True, token=self._new_token(now)
            )
        else:
            entry.due = due

    async def wake(self, cloud_ids: Sequence[str]) -> WakeResult:
        now, ids = self._now(), list(dict.fromkeys(cloud_ids))
        known = [cloud_id for cloud_id in ids if cloud_id in self._users]
        woken = [cloud_id for cloud_id in known if self._sleeps(self._users[cloud_id])]
        for cloud_id in woken:
            self._wake(self._users[cloud_id], now + first_offset(cloud_id, len(ids)))
        awake = tuple(cloud_id for cloud_id in known if cloud_id not in woken)
        return WakeResult(
            tuple(woken), awake, tuple(cloud_id for cloud_id in ids if cloud_id not in known)
        )

    @staticmethod
    def _sleeps(entry: StoredRow) -> bool:
        """Whether it is parked, or waits after failures."""
        troubled = entry.state is not None and forgiven(entry.state) != entry.state
        return entry.lease is None and (troubled or entry.due is None)

    async def get(self, cloud_id: str) -> StoredUser | None:
        entry = self._users.get(cloud_id)
        if entry is None:
            return None
        return StoredUser(
            user=entry.user,
            sealed=entry.sealed,
            state=entry.state or UserState(),
            due=entry.due,
            lease_ends=entry.lease.ends if entry.lease else None,
        )

    async def remove(self, cloud_id: str) -> bool:
        entry = self._users.pop(cloud_id, None)
        if entry is None:
            return False
        ends = entry.lease.ends if entry.lease and entry.lease.token else None
        self._system.parkings.pop(cloud_id, None)
        self._gone[cloud_id] = RemovedUser(self._now() + self._lease, entry.last_request, ends)
        return True

    async def all(self, *, after: str = "", batch: int = 500) -> AsyncIterator[list[StoredUser]]:
        while names := sorted(name for name in self._users if name > after)[:batch]:
            yield [stored for name in names if (stored := await self.get(name))]
            after = names[-1]

    def _refuse_unknown_key(self) -> None:
        self._cipher.refresh()
        alive = self._speed.stretched(ALIVE)
        refuse_unknown_key(self._cipher, self._system.notes, self._now(), alive)

    async def outlines(self) -> AsyncIterator[list[Outline]]:
        async for batch in self.all():
            yield [
                _outline(one, visited=self._users[one.user.cloud_id].state is not None)
                for one in batch
            ]

    async def reseal(self) -> int:
        self._refuse_unknown_key()
        records = [
            (name, encode_user(entry.user, entry.sealed)) for name, entry in self._users.items()
        ]
        swaps, locked = resealed(self._cipher, records)
        for cloud_id, _, record in swaps:
            self._users[cloud_id].sealed = decode_user(cloud_id, record)[1]
        if locked:
            raise unreadable(locked)
        return len(swaps)

    # The system -------------------------------------------------------------------------------------------------------
    async def totals(self) -> Totals:
        due = [entry.due for entry in self._users.values() if entry.due is not None]
        leased = sum(1 for entry in self._users.values() if entry.lease)
        now = self._now()
        return Totals(
            users=len(self._users),
            due=len(due),
            overdue=sum(
                1 for moment in due if moment <= now - self._speed.stretched(OVERDUE_AFTER)
            ),
            leased=leased,
            parked=len(self._users) - len(due) - leased,
            oldest_due=min(due, default=None),
            failing=sum(
                1
                for entry in self._users.values()
                if entry.state and entry.state.failures and not entry.state.parked
            ),
            refused=sum(1 for entry in self._users.values() if entry.refused),
        )

    async def tally(self) -> dict[str, int]:
        return dict(self._system.tally)

    async def count(self, tally: Mapping[str, int]) -> None:
        self._system.tally.update(tally)

    async def breaker(self) -> Breaker:
        return self._system.breaker

    async def set_breaker(self, breaker: Breaker) -> None:
        self._system.breaker = breaker

    async def note_progress(self, name: str, note: Mapping[str, str | int | float]) -> float:
        self._cipher.refresh()
        self._system.notes[name] = {
            **keys_note(self._cipher),
            **note,
            "at": self._now(),
            "clock_ahead": 0.0,
        }
        return 0.0

    async def progress(self) -> dict[str, dict[str, str | int | float]]:
        now = self._now()
        oldest = now - self._speed.stretched(PROGRESS_KEPT)
        return {
            name: note
            for name, note in self._system.notes.items()
            if oldest <= float(note["at"]) <= now
        }

    async def agree_on_shards(self, shards: int) -> int:
        if self._system.shards is None:
            self._system.shards = shards
        return self._system.shards

    async def shards(self) -> int | None:
        return self._system.shards

    async def set_shards(self, shards: int) -> None:
        self._system.shards = shards

    async def register_node(self, node: str) -> None:
        self._system.nodes[node] = self._now()

    async def nodes(self) -> list[str]:
        oldest = self._now() - self._speed.stretched(NODE_KEPT)
        return sorted(node for node, seen in self._system.nodes.items() if seen >= oldest)

    async def check_invariant(self) -> list[str]:
        return [
            breach async for batch in self.all() for stored in batch if (breach := stored.breach())
        ]


def _missed(report: Report, lease: Lease, now: float) -> int:
    """Turns this report missed; none are counted after a pause, or for a user that is not fetched
    any more."""
    pauses = (bounded_pause(report.pause) or report.state.parked) and not lease.updated
    return 0 if pauses else missed_turns(lease.scheduled, now, report.grid)


def _outline(stored: StoredUser, *, visited: bool) -> Outline:
    state = stored.state
    return Outline(
        cloud_id=stored.user.cloud_id,
        total_events_logged=state.total_events_logged,
        last_timestamp=state.last_timestamp,
        recent_counts=state.recent_counts,
        failures=state.failures,
        last_error=state.last_error,
        parked=state.parked,
        due=stored.due,
        lease_ends=stored.lease_ends,
        last_arrival=state.last_arrival,
        intervals=stored.user.intervals,
        visited=visited,
        unreadable=stored.unreadable,
    )
