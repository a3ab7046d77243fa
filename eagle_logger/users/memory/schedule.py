"""Due times, leases and claims in memory: see `store.Schedule`. Each method does what the Lua
script of its name does."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from eagle_logger.core import parking, poison_users
from eagle_logger.core.circuit_breaker import Phase
from eagle_logger.core.schedule import (
    REQUEST_GAP,
    bounded_pause,
    first_turn_after,
    missed_turns,
    next_due,
)
from eagle_logger.core.users import Credentials, UserState
from eagle_logger.users.memory.tables import Lease, StoredRow, Tables
from eagle_logger.users.store import (
    REQUEST_REMEMBERED_S,
    Claim,
    Report,
    ReportResult,
    RequestResult,
    WakeResult,
)

CLOCK_SET_BACK_BY_S, CLOCK_SET_FORWARD_BY_S = 10.0, 4.0
"""Real seconds. A smaller step of the clock is not noticed. lease.lua has the same numbers."""


class MemorySchedule:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def lease(self, limit: int) -> list[str]:
        tables = self._tables
        now = tables.now()
        self._note_clock(now)
        ended = sorted(
            (row.lease.ends, name)
            for name, row in tables.rows.items()
            if row.lease and row.lease.ends <= now
        )
        for _, name in ended[:limit]:
            self._count_unclaimed(tables.rows[name].lease)
            self._give_back(name, now)
        due = sorted(
            (row.due, name)
            for name, row in tables.rows.items()
            if row.due is not None and row.due <= now
        )[:limit]
        suspects = self._suspects()
        too_many = poison_users.are_too_many(len(suspects), len(tables.rows))
        deaths_count = poison_users.are_few(len(suspects), len(tables.rows))
        one_is_leased = any(tables.rows[name].lease for name in suspects)
        if not deaths_count:
            tables.alone = None
        leased: list[str] = []
        for since, name in due:
            row = tables.rows[name]
            if poison_users.is_suspect(row.abandoned) and not too_many:
                if one_is_leased:
                    row.due = now + tables.speed.stretched(poison_users.wait(name, now))
                    continue
                one_is_leased = True
                if deaths_count:
                    tables.alone = name
            row.lease_to(Lease(since, since, now + tables.lease))
            leased.append(name)
        return leased

    def _count_unclaimed(self, ended: Lease | None) -> None:
        if ended and not ended.token:
            self._tables.tally["leases_unclaimed"] += 1

    def _suspects(self) -> set[str]:
        tables = self._tables
        tables.suspects = {
            name
            for name in tables.suspects
            if (row := tables.rows.get(name)) and poison_users.is_suspect(row.abandoned)
        }
        return tables.suspects

    def _note_clock(self, now: float) -> None:
        """If the clock was set back, no due user waits any longer. If it was set forward, no lease
        ends early."""
        tables = self._tables
        steady = tables.steady()
        passed = now - (tables.leased_at or now)
        really_passed = tables.speed.stretched(max(0.0, steady - tables.leased_at_steady))
        jumped = passed - really_passed
        if passed < -tables.speed.stretched(CLOCK_SET_BACK_BY_S):
            self._move_leases(passed, math.inf)
            for row in tables.rows.values():
                row.due = None if row.due is None else row.due + passed
        elif jumped > tables.speed.stretched(CLOCK_SET_FORWARD_BY_S):
            self._move_leases(jumped, now + tables.lease)
        tables.leased_at, tables.leased_at_steady = now, steady

    def _move_leases(self, by: float, latest: float) -> None:
        for row in self._tables.rows.values():
            if row.lease:
                row.lease.ends = min(row.lease.ends + by, latest)

    def _give_back(self, cloud_id: str, now: float) -> None:
        row = self._tables.rows[cloud_id]
        row.give_back(now)
        if poison_users.is_suspect(row.abandoned):
            rest = poison_users.rest(cloud_id, now)
            row.due = now + self._tables.speed.stretched(rest)
            self._tables.suspects.add(cloud_id)

    async def claim(self, cloud_ids: Sequence[str], holder: str) -> list[Claim]:
        now = self._tables.now()
        return [
            claim for cloud_id in cloud_ids if (claim := self._claim_one(cloud_id, holder, now))
        ]

    def _claim_one(self, cloud_id: str, holder: str, now: float) -> Claim | None:
        tables = self._tables
        row = tables.rows.get(cloud_id)
        if row is None or row.lease is None or row.lease.token:
            return None
        lease = row.lease
        lease.token, lease.holder, lease.ends = tables.new_token(now), holder, now + tables.lease
        before, deaths = row.last_request, row.abandoned
        begun = before is None or now - before >= tables.speed.stretched(REQUEST_GAP)
        if before is None:
            lease.scheduled = now  # a user who was never visited has missed no turn
        if begun:
            row.last_request = now
        row.abandoned = poison_users.deaths_after(deaths, alone=cloud_id == tables.alone)
        return Claim(
            cloud_id=cloud_id,
            token=lease.token,
            due=min(lease.due, now),
            claimed_at=now,
            last_request=None if before is None else min(before, now),
            begun=begun,
            user=row.user,
            credentials=self._credentials(cloud_id, row.sealed),
            state=row.state or UserState(),
            abandoned=deaths,
            unproven=row.unproven,
        )

    def _credentials(self, cloud_id: str, sealed: str) -> Credentials | None:
        try:
            return self._tables.cipher.open(cloud_id, sealed)
        except ValueError:
            return None

    async def begin(self, claims: Sequence[Claim]) -> frozenset[str]:
        now, held = self._tables.now(), set()
        for claim in claims:
            if lease := self._lease_of_token(claim.cloud_id, claim.token):
                lease.ends = now + self._tables.lease
                self._tables.rows[claim.cloud_id].last_request = now
                held.add(claim.cloud_id)
        return frozenset(held)

    async def report(self, reports: Sequence[Report], tally: Mapping[str, int]) -> ReportResult:
        now, missed, again, lost = self._tables.now(), 0, set(), set()
        not_to_park = self._not_to_be_parked(reports, now)
        for report in reports:
            lease = self._lease_of_token(report.cloud_id, report.token)
            if lease is None:
                lost.add(report.cloud_id)
                continue
            accepted = self._without_excused_failure(report)
            missed += _missed_turns_of(accepted, lease, now)
            if report.cloud_id in not_to_park:
                accepted = accepted._replace(state=accepted.state._replace(parked=None))
            self._note_refusal(accepted, lease, excused=self._is_excused(report))
            if self._write_report(accepted, lease, now):
                again.add(report.cloud_id)
        self._tables.tally.update(tally)
        if missed:
            self._tables.tally["missed_turns"] += missed
        return ReportResult(frozenset(again), frozenset(lost), missed)

    def _not_to_be_parked(self, reports: Sequence[Report], now: float) -> list[str]:
        """The users whom these reports would park, if the relay refuses so many users that it is
        not believed; else none. Users who were just parked are woken."""
        tables = self._tables
        held = [
            report
            for report in reports
            if (lease := self._lease_of_token(report.cloud_id, report.token)) and not lease.updated
        ]
        would_park = [
            report.cloud_id
            for report in held
            if report.state.parked
            and parking.is_refused(report.state)
            and not self._is_excused(report)
        ]
        if not would_park:
            return []
        oldest = now - parking.PARKINGS_COUNTED_WITHIN_S
        earlier = {name: at for name, at in tables.parkings.items() if at > oldest}
        tables.parkings = {**earlier, **dict.fromkeys(would_park, now)}
        if not parking.many_at_once(len(tables.parkings), len(tables.rows)):
            return []
        for row in (tables.rows[name] for name in tables.parkings):
            if row.due is None and row.lease is None:
                row.wake(now)
        return would_park

    def _note_refusal(self, report: Report, lease: Lease, *, excused: bool) -> None:
        row = self._tables.rows[report.cloud_id]
        if report.answered and not lease.updated:
            row.unproven = False
        if lease.updated or not excused:
            row.refused = (
                parking.is_refused(report.state) and not report.state.parked and not lease.updated
            )

    def _is_excused(self, report: Report) -> bool:
        return self._tables.breaker.phase is not Phase.CLOSED and report.blames_relay

    def _without_excused_failure(self, report: Report) -> Report:
        """The report, with the user's failures as they were if the relay is away and caused this
        one."""
        if not self._is_excused(report):
            return report
        before = self._tables.rows[report.cloud_id].state or UserState()
        state = report.state._replace(
            failures=before.failures, last_error=before.last_error, parked=None
        )
        pause = 0.0 if parking.is_refused(report.state) else report.pause
        return report._replace(state=state, pause=pause)

    def _write_report(self, report: Report, lease: Lease, now: float) -> bool:
        """Write the state and re-arm. Returns whether the worker is to fetch the user once more."""
        row = self._tables.rows[report.cloud_id]
        row.state = report.state.forgiven() if lease.updated else report.state
        row.abandoned = 0
        if report.since_request is not None:
            row.last_request = now - self._tables.speed.stretched(report.since_request)
        if lease.marked and not lease.updated and not row.state.parked:
            lease.marked = False
            lease.due = lease.scheduled = now
            lease.ends = now + self._tables.lease
            return True
        row.lease = None
        if not row.state.parked:
            pause = 0.0 if lease.updated else bounded_pause(report.pause)
            # If a fetch was requested after an update, it tries the new credentials now.
            row.due = now if lease.marked else next_due(now + pause, report.grid)
        return False

    async def request(self, cloud_ids: Sequence[str], *, once: str | None = None) -> RequestResult:
        now, requests = self._tables.now(), self._tables.requests
        if once is not None:
            if requests.get(once, now) > now:
                return RequestResult((), (), (), (), seen_before=True)
            requests[once] = now + self._tables.speed.stretched(REQUEST_REMEMBERED_S)
        outcomes = {
            cloud_id: self._request_one(cloud_id, now) for cloud_id in dict.fromkeys(cloud_ids)
        }
        leased, marked, unknown, parked = (
            tuple(cloud_id for cloud_id, outcome in outcomes.items() if outcome == group)
            for group in ("leased", "marked", "unknown", "parked")
        )
        return RequestResult(leased, marked, unknown, parked)

    def _request_one(self, cloud_id: str, now: float) -> str:
        row = self._tables.rows.get(cloud_id)
        if row is None:
            return "unknown"
        if row.lease and (row.lease.token or row.lease.announced):
            row.lease.marked = bool(row.lease.token)
            return "marked"
        if row.lease:
            row.lease.announced = True
            return "leased"
        if row.due is None:
            return "parked"
        ends = now + self._tables.lease
        row.lease_to(Lease(min(row.due, now), row.due, ends, announced=True))
        return "leased"

    async def forget(self, once: str | None, cloud_ids: Sequence[str] = ()) -> None:
        now, rows = self._tables.now(), self._tables.rows
        self._tables.requests.pop(once or "", None)
        for row in (rows[cloud_id] for cloud_id in cloud_ids if cloud_id in rows):
            if row.lease and row.lease.announced and not row.lease.token:
                row.give_back(now)

    async def free(self, holder: str) -> list[str]:
        now = self._tables.now()
        held = [
            (name, row)
            for name, row in self._tables.rows.items()
            if row.lease and row.lease.token and row.lease.holder == holder
        ]
        for name, row in held:
            row.last_request = now  # the process may have sent a request just before it died
            self._give_back(name, now)
        return [name for name, _ in held]

    async def wake(self, cloud_ids: Sequence[str]) -> WakeResult:
        now, rows, ids = self._tables.now(), self._tables.rows, list(dict.fromkeys(cloud_ids))
        known = [cloud_id for cloud_id in ids if cloud_id in rows]
        woken = [cloud_id for cloud_id in known if _is_parked_or_waits(rows[cloud_id])]
        for cloud_id in woken:
            rows[cloud_id].wake(now + first_turn_after(cloud_id, len(ids)))
        awake = tuple(cloud_id for cloud_id in known if cloud_id not in woken)
        unknown = tuple(cloud_id for cloud_id in ids if cloud_id not in known)
        return WakeResult(tuple(woken), awake, unknown)

    def _lease_of_token(self, cloud_id: str, token: int) -> Lease | None:
        row = self._tables.rows.get(cloud_id)
        return row.lease if row and row.lease and row.lease.token == token else None


def _missed_turns_of(report: Report, lease: Lease, now: float) -> int:
    """Turns that passed without a visit. None are counted after a pause, or for a user that is
    parked."""
    pauses = (bounded_pause(report.pause) or report.state.parked) and not lease.updated
    return 0 if pauses else missed_turns(lease.scheduled, now, report.grid)


def _is_parked_or_waits(row: StoredRow) -> bool:
    """Whether the user is parked, or waits after failures."""
    troubled = row.state is not None and row.state.forgiven() != row.state
    return row.lease is None and (troubled or row.due is None)
