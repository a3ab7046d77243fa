"""One user's turn: what it was asked, what came back, and what is to be logged and remembered of
it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from eagle_logger.core.circuit_breaker import OWN_FAULTS
from eagle_logger.core.hours import Hour
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
from eagle_logger.core.schedule import pause_after
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
from eagle_logger.errors import OnlyProblems, Refused, RelayUnavailable, Unreadable
from eagle_logger.rainforest.source import Decoded, ReplyProblem, UnreadableReply
from eagle_logger.telemetry import lateness_counter
from eagle_logger.users.store import Claim

FETCHED = "fetched"
LOST = "lost"
"""The claim went to somebody else: nothing of this visit may be reported."""
TIMED_OUT = "timed_out"
TOO_MUCH = "too_much"
ONLY_PROBLEMS = "only_problems"
"""It answered, and nothing in its replies could be used."""
WHY_TOO_MUCH = f"{{}} readings were not written: an hour of one home has at most {LARGEST_HOUR >> 20} MiB of log lines"
POISON = "poison"
"""Its replies kill the process that handles them."""
WHY_POISON = "{} processes in a row died while they fetched it; `eagle-logger users wake` wakes it once the cause is repaired"
WHY_REFUSED = (
    "; these credentials have worked, so the relay is asked again within the hour (`eagle-logger users wake`: at once); if "
    "they were changed, `eagle-logger users add` takes the new ones"
)


class SampleKeeper(Protocol):
    def keep_sample(self, cloud_id: str, when: float, text: str) -> None: ...


@dataclass(slots=True)
class Visit:
    """The book kept while a user is asked. `state` is what its state becomes once `lines` are on
    disk, not before."""

    claim: Claim
    state: UserState = field(init=False)
    lines: dict[tuple[str, Hour], list[bytes]] = field(default_factory=dict)
    readings: list[Reading] = field(default_factory=list)
    problems: list[ReplyProblem] = field(default_factory=list)
    outcome: str = FETCHED
    pause: float = 0.0
    requests: int = 0
    unanswered: list[Kind] = field(default_factory=list)
    """The kinds that were asked for, and of which no readable reply came."""
    last_request: float | None = None
    """When the last request was written to its connection (monotonic seconds), or begun if it was
    never written."""
    said_something: bool = False
    """Whether a reply held a reading, new or known."""
    first_problem: ReplyProblem | None = None
    """The first problem in its replies, which stood in place of a reading."""
    left_out: int = 0
    """Readings that were not written, because their hour had no room."""
    unreadable: Unreadable | None = None
    """Why a reply gave nothing. The other kinds are asked for all the same: theirs may be as they
    should."""
    answered: bool = False
    """Whether the relay accepted the credentials, and sent a reply that could be read."""
    late: float | None = None
    """Real seconds from the due time to the start of the first request."""

    def __post_init__(self) -> None:
        self.state = self.claim.state
        if self.claim.state_unreadable is not None:
            self.problems.append(ReplyProblem("state_unreadable", self.claim.state_unreadable))

    def begin(self, kind: Kind) -> None:
        """Note that this kind is asked for now."""
        self.unanswered.append(kind)

    def note_reply(self, kind: Kind, decoded: Decoded, arrived: float, *, asked: float) -> None:
        """Take the new readings of a reply. `arrived` is when it came, by this machine's clock;
        `asked` is when it was asked for, by the store's (Unix seconds)."""
        self.answered = True
        self.state = after_asking(self.state, [kind], asked)
        if kind in self.unanswered:
            self.unanswered.remove(kind)
        self.problems += decoded.problems
        self.said_something = self.said_something or bool(decoded.readings or decoded.undated)
        if self.first_problem is None and decoded.problems:
            self.first_problem = decoded.problems[0]
        for reading in decoded.readings:
            if not is_logged(self.state, reading):
                self._take(reading, arrived)
        for undated in decoded.undated:
            if not is_unchanged(self.state, undated):
                self._take(undated.dated(arrived), arrived)

    def _take(self, reading: Reading, arrived: float) -> None:
        hour, state = filing_hour(self.state, reading, arrived)
        flags = set(flags_for(reading, arrived, _summation_before(state, reading)))
        if hour != Hour.of(reading.time):
            flags.add(Flag.FILED_BY_ARRIVAL)
        line = encode_line(self.claim.cloud_id, reading, arrived, flags)
        self.lines.setdefault((self.claim.cloud_id, hour), []).append(line)
        self.readings.append(reading)
        self.state = after_logging(state, [reading], arrived)

    def note_unreadable(self, wrong: Unreadable) -> None:
        """Take note of a reply that is nothing we know. Its kind does not count as asked, and so is
        asked again next time."""
        self.unreadable = wrong
        if isinstance(wrong, UnreadableReply):
            self.problems.append(wrong.problem)

    def ended(self, period: float) -> None:
        """Everything that was due was asked for."""
        if self.unreadable is not None:
            self.failed(self.unreadable, period)
        elif self.first_problem is not None and not self.said_something:
            self.failed(OnlyProblems(f"no reading, but {self.first_problem.detail}"), period)
        else:
            self.state = after_success(self.state)

    def failed(self, wrong: Exception, period: float) -> None:
        """Note why the visit ended early. The readings that it had by then are logged, but it
        counts as a failure: a home that answers one question and hangs at the next is left alone
        like one that hangs at the first.

        From the second failure in a row on, the kind that was not answered waits for its own next
        turn. The next visit then asks only for the others and succeeds, so a kind that is never
        answered does not cost the home its other readings.
        """
        self.outcome, retry_after = _outcome_of(wrong)
        if self.answered and self.state.failures:
            self.state = after_asking(self.state, self.unanswered, self.claim.claimed_at)
        why = f"{self.outcome}: {wrong}"[:200]
        if self.outcome == REFUSED and not self.answered:
            self._refused(why, period)
            return
        if self.outcome == REFUSED:
            why = f"answered, then {why}"  # the relay accepted its credentials a moment ago
        self.state = after_failure(self.state, why)
        self.pause = pause_after(self.state.failures, period, self.claim.cloud_id, retry_after)

    def _refused(self, why: str, period: float) -> None:
        if not (self.state.last_error or "").startswith(REFUSED):
            self.state = after_success(self.state)  # only refusals in a row count towards parking
        refusals = self.state.failures + 1
        enough = refusals >= REFUSALS_BEFORE_PARKING
        unknown = self.claim.state_unreadable is not None
        worked = have_worked(self.claim.state, unproven=self.claim.unproven, unknown=unknown)
        if enough and worked:
            why += WHY_REFUSED
        self.state = after_failure(self.state, why, park=enough and not worked)
        self.pause = pause_after_refusals(refusals, period, self.claim.cloud_id)

    def note_left_out(self, readings: int) -> None:
        """Note how many readings had no room in their hours. They are counted, and not written
        later."""
        self.left_out = readings
        why = WHY_TOO_MUCH.format(readings)
        self.problems.append(ReplyProblem(TOO_MUCH, why))
        if self.outcome == FETCHED:
            self.outcome = TOO_MUCH
            self.state = after_failure(self.state, f"{TOO_MUCH}: {why}")

    def convicted(self) -> None:
        """Its replies killed the process that handled them, again and again: the user is not asked
        any more."""
        self.outcome = POISON
        self.state = after_failure(
            self.state, f"{POISON}: {WHY_POISON.format(self.claim.abandoned)}", park=True
        )

    @property
    def blames_relay(self) -> bool:
        """Whether it failed in a way that says nothing good about the relay."""
        return self.outcome != FETCHED and self.outcome not in OWN_FAULTS and not self.readings

    def count(self, tally: Counter[str]) -> None:
        """Add it to the system's counters."""
        tally["fetches"] += 1
        tally["requests"] += self.requests
        tally["readings_logged"] += len(self.readings) - self.left_out
        if self.left_out:
            tally["readings_left_out"] += self.left_out
        for lines in self.lines.values():
            tally["bytes_logged"] += sum(map(len, lines))
        if self.outcome != FETCHED:
            tally["failed_fetches"] += 1
            tally[f"failed_{self.outcome}"] += 1
        for problem in self.problems:
            tally[f"problems_{problem.what}"] += 1
        if self.late is not None:
            tally[lateness_counter(self.late)] += 1


def _outcome_of(wrong: Exception) -> tuple[str, float | None]:
    match wrong:
        case RelayUnavailable():
            return wrong.reason, wrong.retry_after
        case Refused():
            return REFUSED, None
        case OnlyProblems():
            return ONLY_PROBLEMS, None
        case Unreadable():
            return "unreadable", None
        case TimeoutError():
            return TIMED_OUT, None
        case _:
            return "internal_error", None


def _summation_before(state: UserState, reading: Reading) -> Mapping[str, object]:
    return values_before(state, reading) if reading.kind is Kind.SUMMATION else {}
