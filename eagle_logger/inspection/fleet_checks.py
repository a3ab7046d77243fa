"""Checks the fleet's status: whether users are fetched and archived, which processes run, which
users are not well. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from eagle_logger.broker_queues import DISPATCH
from eagle_logger.core.circuit_breaker import Phase
from eagle_logger.core.hours import Hour
from eagle_logger.core.kinds import Kind
from eagle_logger.core.printable import harmless
from eagle_logger.core.skew import LARGEST_SKEW_S
from eagle_logger.core.table_plan import ROLL_UP
from eagle_logger.core.user_standing import Standing
from eagle_logger.inspection.check_result import CheckResult, Grade
from eagle_logger.inspection.fleet_status import TOO_MUCH_ADVICE, FleetStatus
from eagle_logger.inspection.health import (
    DISPATCH_SILENT_AFTER_S,
    OK,
    PROCESS_SILENT_AFTER_S,
    Progress,
    dispatch_check,
    kind_of_process,
    worker_check,
    worker_silent_after,
)
from eagle_logger.settings import Settings

LATE_AFTER_S, VERY_LATE_AFTER_S = 60.0, 600.0
"""Real seconds that a user may wait for its turn: longer is worth a look, and much longer is wrong.
"""
MOST_USERS_UNWELL = 0.8
"""Share of the users. If more of them fail, their gateways are not the cause. (The alert
EagleRelayFailing repeats it.)"""
ARCHIVED_WITHIN_S = 4200.0
"""Seconds after an hour is sealed. Late readings are sealed an hour after they came."""
_MOST_NAMED = 5

ADVICE_BY_REASON = {
    "no_key": "Put the old key back into EAGLE_SECRET_KEYS, "
    "or enter the passwords again with `eagle-logger users add`.",
    "record_unreadable": "`eagle-logger users add` writes the record anew.",
    "refused": "docs/how-to/wake-users.md: was a password changed, or was the relay wrong?",
    "poison": "Their replies kill the process that reads them: "
    "repair that, then `eagle-logger users wake`.",
    "only_problems": "`samples/` in the data directory has what they sent.",
    **dict.fromkeys(
        ("silent", "never_read"),
        "Their gateways answer and have nothing new: look whether they hear their meters.",
    ),
    "unreadable": "`eagle-logger users add` writes what cannot be read anew.",
}


def check_fleet_status(status: FleetStatus, settings: Settings) -> Iterator[CheckResult]:
    """One result for each side of the status, in the order in which readings flow."""
    # The status has ages, and the checks compare moments with "now": so "now" is 0.
    progress: Progress = {name: {"at": -age} for name, age in status.processes.items()}
    stretched = settings.clock.stretched  # from real seconds to the system's clock
    yield _check_dispatch(progress, stretched(DISPATCH_SILENT_AFTER_S))
    yield _check_workers(
        status, progress, stretched(worker_silent_after(settings.intervals[Kind.DEMAND]))
    )
    yield _check_processes(status, stretched(PROCESS_SILENT_AFTER_S))
    yield _check_breaker(status)
    yield _check_waiting(status, stretched(LATE_AFTER_S), stretched(VERY_LATE_AFTER_S))
    yield _check_users(status)
    yield _check_hours(status, settings.rotate_grace)
    yield _check_tables(status)
    yield _check_clocks(status)


def _check_dispatch(progress: Progress, silent_after: float) -> CheckResult:
    found = dispatch_check(progress, 0.0, silent_after)
    if found != OK:
        advice = "Start the system; if it runs, restart beat, then the dispatcher."
        return CheckResult.wrong(DISPATCH, found, advice)
    return CheckResult.ok(DISPATCH, f"the last {-float(progress[DISPATCH]['at']):.0f} s ago")


def _check_workers(status: FleetStatus, progress: Progress, silent_after: float) -> CheckResult:
    name, found = "workers", worker_check(progress, status.totals, 0.0, silent_after)
    if found != OK:
        advice = "Start the fetching workers, or restart them: see what they wrote last."
        return CheckResult.wrong(name, found, advice)
    reporting = sum(
        kind_of_process(process) == "fetch" and age <= silent_after
        for process, age in status.processes.items()
    )
    return CheckResult.ok(name, f"{reporting} fetching processes report progress")


def _check_processes(status: FleetStatus, silent_after: float) -> CheckResult:
    """Which processes are silent. A process with a host in its name may be gone for good and
    replaced, so it counts as silent only if all of its kind are."""
    name = "processes"
    if not status.processes:
        return CheckResult.look(name, "none has reported within the hour", "Start the system.")
    # `dispatch` is a task, and has a check of its own.
    ages = {
        process: age
        for process, age in status.processes.items()
        if process not in (DISPATCH, ROLL_UP)
    }
    reporting = [process for process, age in status.processes.items() if age <= silent_after]
    kinds_reporting = {kind_of_process(process) for process in reporting}
    silent = [
        f"{harmless(process)} for {_duration(age)}"
        for process, age in ages.items()
        if age > silent_after
        and ("@" not in process or kind_of_process(process) not in kinds_reporting)
    ]
    if silent:
        advice = "Restart what should run. What was taken away for good is forgotten after an hour."
        return CheckResult.look(name, f"silent: {_first_few(silent)}", advice)
    count = sum(age <= silent_after for age in ages.values())
    return CheckResult.ok(name, f"{count} report progress")


def _check_breaker(status: FleetStatus) -> CheckResult:
    name, phase = "breaker", Phase(status.relay)
    if phase is Phase.OPEN:
        found = "open: most visits fail, so only a few users are asked"
        advice = "Wait: users return by themselves. If it lasts, see the lines `relay` and `users`."
        return CheckResult.wrong(name, found, advice)
    return CheckResult.ok(name, str(phase))


def _check_waiting(status: FleetStatus, late: float, very_late: float) -> CheckResult:
    name, totals = "waiting", status.totals
    longest = _duration(status.longest_wait)
    found = f"{totals.overdue} of {totals.users} users are overdue, the longest for {longest}"
    if status.too_much:
        grade = Grade.WRONG if status.longest_wait > very_late else Grade.LOOK
        return CheckResult(name, grade, f"too much: {status.too_much}", TOO_MUCH_ADVICE)
    if status.longest_wait <= late:
        return CheckResult.ok(name, found if totals.overdue else "no user is overdue")
    if Phase(status.relay) is not Phase.CLOSED:
        return CheckResult.look(name, found, "They wait for the relay: see the line `breaker`.")
    advice = "See `dispatch` and `workers`. If these are well: more workers, or longer intervals."
    if status.longest_wait > very_late:
        return CheckResult.wrong(name, found, advice)
    return CheckResult.look(name, found, advice)


def _check_users(status: FleetStatus) -> CheckResult:
    """Which users are not well. Overdue users have a check of their own."""
    name, users = "users", status.totals.users
    if not users:
        advice = "`eagle-logger users add` enters one, `eagle-logger users import` many."
        return CheckResult.look(name, "there are none", advice)
    reasons = Counter(
        {why: count for why, count in status.reasons.items() if why != Standing.OVERDUE}
    )
    unwell = reasons.total()
    if not unwell:
        return CheckResult.ok(name, f"{users}, and none of them is failing, parked or silent")
    common = reasons.most_common(_MOST_NAMED)
    counts = ", ".join(f"{harmless(why)} {count}" for why, count in common)
    most_common = common[0][0].rpartition(": ")[2]
    advice = ADVICE_BY_REASON.get(most_common, "See the line `relay`.")
    return CheckResult(
        name,
        Grade.WRONG if unwell > MOST_USERS_UNWELL * users else Grade.LOOK,
        f"{unwell} of {users} are not well: {counts}{_longest_silence(status)}",
        f"{advice} `eagle-logger status` names them, worst first.",
    )


def _longest_silence(status: FleetStatus) -> str:
    unwell = (user for user in status.users if not Standing(user.standing).is_well)
    silence = max((user.silence or 0.0 for user in unwell), default=0.0)
    return f"; the longest without a reading: {_duration(silence)}" if silence else ""


def _check_hours(status: FleetStatus, grace: float) -> CheckResult:
    """Which hours should have been archived long ago. Hours in which only stuck files are left are
    counted apart."""
    name, now = "hours", datetime.fromisoformat(status.at).timestamp()
    stuck = Counter(user_hour.hour for user_hour in status.stuck_hours)
    late = [
        unarchived.hour
        for unarchived in status.unarchived_hours
        if unarchived.files > stuck[unarchived.hour]
        and now > Hour.parse(unarchived.hour).end + grace + ARCHIVED_WITHIN_S
    ]
    found, advice = list[str](), list[str]()
    if late:
        found.append(f"not archived: {len(late)} hours, the oldest {min(late)}")
        advice.append("See the line `archive`; is a rotator running?")
    if status.unindexed_hours:
        oldest = status.unindexed_hours[0].hour
        found.append(f"not indexed: {len(status.unindexed_hours)} hours, the oldest {oldest}")
        advice.append("May the rotator put objects below `_index/`? Its log says why: index_failed")
    if stuck:
        found.append(f"stuck: {stuck.total()} hours of single homes")
        advice.append("docs/how-to/free-a-stuck-hour.md")
    if not found:
        return CheckResult.ok(name, "every hour that is over is archived, or soon will be")
    return CheckResult.look(name, "; ".join(found), " ".join(advice))


def _check_tables(status: FleetStatus) -> CheckResult:
    name = "tables"
    if not status.late_days:
        return CheckResult.ok(name, "no day waits for its day tables")
    oldest = status.late_days[0]
    return CheckResult.look(
        name,
        f"complete and not rolled up: {len(status.late_days)} days, the oldest {oldest.day}, "
        f"seen {oldest.since}",
        "The log of the workers of the queue `tables` says why: roll_up_failed, "
        "objects_not_in_tables. `eagle-logger tables build` does it by hand.",
    )


def _check_clocks(status: FleetStatus) -> CheckResult:
    name = "clocks"
    wrong = [
        f"{harmless(process)} {ahead:+.1f} s"
        for process, ahead in status.clocks_ahead.items()
        if abs(ahead) > LARGEST_SKEW_S
    ]
    if wrong:
        advice = "Set the clocks of their machines (NTP): arrival times are wrong."
        return CheckResult.look(name, f"against Redis': {_first_few(wrong)}", advice)
    return CheckResult.ok(name, "every process has the time of Redis, within 2 s")


def _first_few(words: list[str]) -> str:
    more = len(words) - _MOST_NAMED
    return ", ".join([*words[:_MOST_NAMED], *([f"and {more} more"] if more > 0 else [])])


def _duration(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
