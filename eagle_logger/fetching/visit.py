"""What one user's visit asked and what came back, from its claim to its report: the lines to log,
and the state that is reported once they are on disk. `fetching/visitor.py` makes the requests."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from eagle_logger.core.circuit_breaker import OWN_FAULTS
from eagle_logger.core.hours import Hour
from eagle_logger.core.in_step import Turns
from eagle_logger.core.kinds import Kind
from eagle_logger.core.line_format import encode_line
from eagle_logger.core.parking import (
    REFUSALS_BEFORE_PARKING,
    REFUSED,
    have_worked,
    pause_after_refusals,
)
from eagle_logger.core.reading_flags import flags_for
from eagle_logger.core.readings import Flag, Reading
from eagle_logger.core.rhythm import after_reply, after_request
from eagle_logger.core.schedule import (
    pause_after_failures,
)
from eagle_logger.core.sealing import LARGEST_HOUR
from eagle_logger.core.user_state import (
    after_asking,
    after_failure,
    after_logging,
    after_success,
    filing_hour,
    is_logged,
    is_unchanged,
    values_before,
)
from eagle_logger.core.users import UserState
from eagle_logger.errors import (
    OnlyProblems,
    Refused,
    RelayUnavailable,
    Unreadable,
)
from eagle_logger.fetching.request_pacing import RequestPacing
from eagle_logger.rainforest.source import Decoded, ReplyProblem, UnreadableReply
from eagle_logger.telemetry import lateness_counter
from eagle_logger.users.store import Claim, Grid, Report

# Outcomes of a visit: a metric's labels, and the first word of a user's last error. A relay that is
# unavailable adds its reasons to them.
FETCHED = "fetched"
LOST = "lost"
"""Another worker may hold the user by now, or Redis cannot say which one does. So nothing of this
visit may be reported."""
TIMED_OUT = "timed_out"
TOO_MUCH = "too_much"
"""The user's hour had no room for all readings."""
ONLY_PROBLEMS = "only_problems"
"""The gateway answered, and no reply could be used."""
UNREADABLE = "unreadable"
POISON = "poison"
"""The replies kill the process that handles them."""
INTERNAL_ERROR = "internal_error"

TOO_MUCH_DETAIL = (
    "{} readings were not written: an hour of one home has at most "
    f"{LARGEST_HOUR >> 20} MiB of log lines"
)
POISON_DETAIL = (
    "{} processes in a row died while they fetched it; `eagle-logger users wake` wakes it once the "
    "cause is repaired"
)
REFUSED_THOUGH_WORKED_DETAIL = (
    "; these credentials have worked, so the relay is asked again within the hour (`eagle-logger "
    "users wake`: at once); if they were changed, `eagle-logger users add` takes the new ones"
)


@dataclass(slots=True)
class Visit:
    """What a visit asked and what came back. `state` becomes the user's state once `lines` are on
    disk, not before."""

    claim: Claim
    turns: Turns
    began: float = field(default_factory=time.monotonic)
    state: UserState = field(init=False)
    lines: dict[tuple[str, Hour], list[bytes]] = field(default_factory=dict)
    """Lines to log, by cloud id and hour."""
    readings: list[Reading] = field(default_factory=list)
    """The new readings, one for each line."""
    problems: list[ReplyProblem] = field(default_factory=list)
    outcome: str = FETCHED
    pause: float = 0.0
    """Seconds of the clock to leave the user alone, beyond its ordinary next visit."""
    requests: int = 0
    last_request: float | None = None
    """As in `RequestPacing`."""
    lateness: float | None = None
    """As in `RequestPacing`."""
    pacing: RequestPacing | None = None
    """The times of the visit, once it has ended."""
    unanswered: list[Kind] = field(default_factory=list)
    """The kinds that were asked for, and of which no readable reply came."""
    has_answered: bool = False
    """Whether the relay accepted the credentials, and sent a reply that could be read."""
    showed_readings: bool = False
    """Whether a reply held a reading, new or known."""
    first_problem: ReplyProblem | None = None
    """The first problem that stood in a reply in place of a reading."""
    unreadable_reply: Unreadable | None = None
    """Why a reply gave nothing. The other kinds are asked for all the same, because their replies
    may be readable."""
    left_out: int = 0
    """Readings that were not written, because their hour had no room."""
    polls: int = 0
    """Requests for the leading kind."""
    shown_new: bool = False
    """Whether a reply showed a newer reading of the leading kind than any before."""

    def __post_init__(self) -> None:
        self.state = self.claim.state
        if self.claim.state_unreadable is not None:
            self.problems.append(ReplyProblem("state_unreadable", self.claim.state_unreadable))

    # While the gateway is asked ---------------------------------------------------------------

    def note_asked(self, kind: Kind) -> None:
        """Note that this kind is asked for now."""
        self.unanswered.append(kind)

    def note_requested(self, kind: Kind, asked: float) -> None:
        """Note that this kind was asked for at `asked` (the store's time), answered or not."""
        if kind is self.turns.leading:
            rhythm = after_request(self.state.rhythm, asked, self.turns.plain.period)
            self.state = self.state._replace(rhythm=rhythm)
            self.polls += 1

    def note_reply(
        self, kind: Kind, decoded: Decoded, arrived: float, *, asked: float, took: float = 0.0
    ) -> None:
        """Add the new readings of a reply. `arrived` is its time of arrival by this machine's
        clock, `asked` the time of its request by the store's (Unix seconds), `took` the seconds
        between the two."""
        self.has_answered = True
        if kind is self.turns.leading:
            self._note_shown(decoded, asked, took)
        self.state = after_asking(self.state, [kind], asked)
        if kind in self.unanswered:
            self.unanswered.remove(kind)
        self.problems += decoded.problems
        self.showed_readings = self.showed_readings or bool(decoded.readings or decoded.undated)
        if self.first_problem is None and decoded.problems:
            self.first_problem = decoded.problems[0]
        for reading in decoded.readings:
            if not is_logged(self.state, reading):
                self._add_line(reading, arrived)
        for undated in decoded.undated:
            if not is_unchanged(self.state, undated):
                self._add_line(undated.dated(arrived), arrived)

    def _note_shown(self, decoded: Decoded, asked: float, took: float) -> None:
        """Learn from the newest reading that this reply showed when the meter speaks."""
        times = [reading.time for reading in decoded.readings if reading.kind is self.turns.leading]
        before = self.state.rhythm
        rhythm = after_reply(before, max(times, default=None), asked, took)
        self.state = self.state._replace(rhythm=rhythm)
        self.shown_new = rhythm.seen != before.seen

    def _add_line(self, reading: Reading, arrived: float) -> None:
        hour, state = filing_hour(self.state, reading, arrived)
        flags = set(flags_for(reading, arrived, _summation_before(state, reading)))
        if hour != Hour.of(reading.time):
            flags.add(Flag.FILED_BY_ARRIVAL)
        line = encode_line(self.claim.cloud_id, reading, arrived, flags)
        self.lines.setdefault((self.claim.cloud_id, hour), []).append(line)
        self.readings.append(reading)
        self.state = after_logging(state, [reading], arrived)

    def note_unreadable(self, exc: Unreadable) -> None:
        """Note a reply that cannot be read. Its kind does not count as asked, so the next visit
        asks for it again."""
        self.unreadable_reply = exc
        if isinstance(exc, UnreadableReply):
            self.problems.append(exc.problem)

    # At its end -------------------------------------------------------------------------------

    def finish(self) -> None:
        """Everything that was due has been asked for."""
        if self.unreadable_reply is not None:
            self.fail(self.unreadable_reply)
        elif self.first_problem is not None and not self.showed_readings:
            self.fail(OnlyProblems(f"no reading, but {self.first_problem.detail}"))
        else:
            self.state = after_success(self.state)

    def fail(self, exc: Exception) -> None:
        """Note why the visit ended early. The readings that came before are logged, but the visit
        counts as a failure. So a home that answers one request and hangs at the next is left alone
        like one that hangs at the first.

        From the second failure in a row on, the kind that was not answered waits for its own next
        turn. The next visit then asks only for the others and succeeds, so a kind that is never
        answered does not cost the home its other readings.
        """
        self.outcome, retry_after = _outcome_of(exc)
        if self.has_answered and self.state.failures:
            self.state = after_asking(self.state, self.unanswered, self.claim.claimed_at)
        error = f"{self.outcome}: {exc}"[:200]
        if self.outcome == REFUSED and not self.has_answered:
            self._note_refusal(error)
            return
        if self.outcome == REFUSED:
            # The relay accepted the same credentials a moment ago, so they are not at fault.
            error = f"answered, then {error}"
        self.state = after_failure(self.state, error)
        cloud_id, failures = self.claim.cloud_id, self.state.failures
        self.pause = pause_after_failures(failures, self.turns.plain.period, cloud_id, retry_after)

    def _note_refusal(self, error: str) -> None:
        """Park the user after several refusals in a row, unless its credentials have worked."""
        if not (self.state.last_error or "").startswith(REFUSED):
            # Failures of another kind do not count towards parking.
            self.state = after_success(self.state)
        refusals = self.state.failures + 1
        worked = have_worked(
            self.claim.state,
            unproven=self.claim.unproven,
            unknown=self.claim.state_unreadable is not None,
        )
        parks_unless_worked = refusals >= REFUSALS_BEFORE_PARKING
        if parks_unless_worked and worked:
            error += REFUSED_THOUGH_WORKED_DETAIL
        self.state = after_failure(self.state, error, park=parks_unless_worked and not worked)
        self.pause = pause_after_refusals(refusals, self.turns.plain.period, self.claim.cloud_id)

    def park_as_poison(self) -> None:
        """End the visit without a request: the replies killed the process that handled them, again
        and again."""
        self.outcome = POISON
        error = f"{POISON}: {POISON_DETAIL.format(self.claim.abandoned)}"
        self.state = after_failure(self.state, error, park=True)

    def note_requests(self, pacing: RequestPacing) -> None:
        self.requests = pacing.requests
        self.last_request = pacing.last_request
        self.lateness = pacing.lateness
        self.pacing = pacing

    # Once it is logged ------------------------------------------------------------------------

    def note_left_out(self, readings: int) -> None:
        """Note how many readings had no room in their hours. They are counted, and never
        written."""
        self.left_out = readings
        detail = TOO_MUCH_DETAIL.format(readings)
        self.problems.append(ReplyProblem(TOO_MUCH, detail))
        if self.outcome == FETCHED:
            self.outcome = TOO_MUCH
            self.state = after_failure(self.state, f"{TOO_MUCH}: {detail}")

    @property
    def blames_relay(self) -> bool:
        """Whether the visit failed in a way that may be the relay's doing."""
        return self.outcome != FETCHED and self.outcome not in OWN_FAULTS and not self.readings

    def report(self) -> Report:
        """The user's new state, and when it falls due again."""
        claim = self.claim
        since_request = None
        if self.last_request is not None:
            since_request = time.monotonic() - self.last_request
        grid, wait = self._next_turn()
        return Report(
            cloud_id=claim.cloud_id,
            token=claim.token,
            state=self.state,
            grid=grid,
            pause=max(self.pause, wait),
            blames_relay=self.blames_relay,
            since_request=since_request,
            answered=self.has_answered,
        )

    def _next_turn(self) -> tuple[Grid, float]:
        if self.pacing is None:
            return self.turns.plain, 0.0
        return self.turns.after(self.state.rhythm, self.pacing.now)

    def claim_for_another_round(self, passed: float) -> Claim:
        """The same claim as if it were made now, `passed` seconds (of the store's time) after it
        was made. To be safe, the last request counts as made now too."""
        now = self.claim.claimed_at + passed
        return self.claim._replace(
            state=self.state,
            state_unreadable=None,
            due=now,
            claimed_at=now,
            last_request=now,
            begun=False,
        )

    def add_to(self, tally: Counter[str]) -> None:
        """Add the visit to the system's counters."""
        tally["fetches"] += 1
        tally["requests"] += self.requests
        tally["visit_milliseconds"] += round(1000 * (time.monotonic() - self.began))
        tally["readings_logged"] += len(self.readings) - self.left_out
        tally["polls"] += self.polls
        if self.shown_new:
            tally["readings_polled"] += 1
            if self.state.rhythm.age:
                tally["readings_timed"] += 1
                tally["reading_age_ms"] += round(1000 * self.state.rhythm.age)
        if self.turns.follow(self.state.rhythm):
            tally["visits_in_step"] += 1
        if self.left_out:
            tally["readings_left_out"] += self.left_out
        for lines in self.lines.values():
            tally["bytes_logged"] += sum(map(len, lines))
        if self.outcome != FETCHED:
            tally["failed_fetches"] += 1
            tally[f"failed_{self.outcome}"] += 1
        for problem in self.problems:
            tally[f"problems_{problem.what}"] += 1
        if self.lateness is not None:
            tally[lateness_counter(self.lateness)] += 1
            tally["lateness_milliseconds"] += round(1000 * self.lateness)


def _outcome_of(exc: Exception) -> tuple[str, float | None]:
    """The outcome's name, and the seconds that the relay asked us to wait."""
    match exc:
        case RelayUnavailable():
            return exc.reason, exc.retry_after
        case Refused():
            return REFUSED, None
        case OnlyProblems():
            return ONLY_PROBLEMS, None
        case Unreadable():
            return UNREADABLE, None
        case TimeoutError():
            return TIMED_OUT, None
        case _:
            return INTERNAL_ERROR, None


def _summation_before(state: UserState, reading: Reading) -> Mapping[str, object]:
    return values_before(state, reading) if reading.kind is Kind.SUMMATION else {}
