"""Judges the fleet's status: whether users are fetched and archived, which processes run, which
users are not well. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from eagle_logger.core.circuit_breaker import Phase
from eagle_logger.core.hours import Hour
from eagle_logger.core.printable import harmless
from eagle_logger.core.skew import LARGEST_SKEW
from eagle_logger.core.user_standing import Standing
from eagle_logger.inspection.finding import CheckResult, Grade, look, ok, wrong
from eagle_logger.inspection.fleet_status import FleetStatus
from eagle_logger.inspection.progress import (
    DISPATCH,
    DISPATCH_PATIENCE,
    OK,
    Progress,
    dispatch_check,
    kind_of_process,
    worker_check,
    worker_patience,
)
from eagle_logger.settings import Settings

SILENT_PROCESS = 60.0
"""Real seconds. Processes report every few seconds."""
LATE, VERY_LATE = 60.0, 600.0
"""Real seconds that a user may wait for its turn: longer is worth a look, and much longer is wrong.
"""
MOST_FAIL = 0.8
"""Share of the users. If more of them fail, their gateways are not the cause. (The alert
EagleRelayFailing repeats it.)"""
ARCHIVED_WITHIN = 4200.0
"""Seconds after an hour is sealed. Late readings are sealed an hour after they came."""
_SHOWN = 5

ADVICE = {
    "no_key": "Put the old key back into EAGLE_SECRET_KEYS, or enter the passwords again with `eagle-logger users add`.",
    "record_unreadable": "`eagle-logger users add` writes the record anew.",
    "refused": "docs/how-to/wake-users.md: was a password changed, or was the relay wrong?",
    "poison": "Their replies kill the process that reads them: repair that, then `eagle-logger users wake`.",
    "only_problems": "`samples/` in the data directory has what they sent.",
    "silent": "Their gateways answer and have nothing new: look whether they hear their meters.",
    "never_read": "Their gateways answer and have nothing new: look whether they hear their meters.",
    "unreadable": "`eagle-logger users add` writes what cannot be read anew.",
}


def findings(status: FleetStatus, settings: Settings) -> Iterator[CheckResult]:
    """One finding for each side of the status, in the order in which readings flow."""
    progress: Progress = {name: {"at": -age} for name, age in status.processes.items()}
    stretched = settings.clock.stretched
    yield _dispatch(progress, stretched(DISPATCH_PATIENCE))
    yield _workers(status, progress, stretched(worker_patience(settings.demand_interval)))
    yield _processes(status, stretched(SILENT_PROCESS))
    yield _breaker(status)
    yield _waiting(status, stretched(LATE), stretched(VERY_LATE))
    yield _users(status)
    yield _hours(status, settings.rotate_grace)
    yield _clocks(status)


def _dispatch(progress: Progress, patience: float) -> CheckResult:
    found = dispatch_check(progress, 0.0, patience)
    if found != OK:
        return wrong(
            DISPATCH, found, "Start the system; if it runs, restart beat, then the dispatcher."
        )
    return ok(DISPATCH, f"{-float(progress[DISPATCH]['at']):.0f} s ago")


def _workers(status: FleetStatus, progress: Progress, patience: float) -> CheckResult:
    name, found = "workers", worker_check(progress, status.totals, 0.0, patience)
    if found != OK:
        return wrong(
            name, found, "Start the fetching workers, or restart them: see what they wrote last."
        )
    fetching = [
        age
        for process, age in status.processes.items()
        if kind_of_process(process) == "fetch" and age <= patience
    ]
    return ok(name, f"{len(fetching)} fetching processes report")


def _processes(status: FleetStatus, patience: float) -> CheckResult:
    """Which processes are silent. One with a host in its name may be gone for good and replaced, so
    it counts as silent only if all of its kind are."""
    name = "processes"
    alive = {
        kind_of_process(process) for process, age in status.processes.items() if age <= patience
    }
    silent = {
        process: age
        for process, age in status.processes.items()
        if age > patience
        and process != DISPATCH
        and ("@" not in process or kind_of_process(process) not in alive)
    }
    if not status.processes:
        return look(name, "none has reported within the hour", "Start the system.")
    if silent:
        found = "silent: " + _some(
            [f"{harmless(process)} for {_length(age)}" for process, age in silent.items()]
        )
        return look(
            name,
            found,
            "Restart what should run. What was taken away for good is forgotten after an hour.",
        )
    reporting = sum(
        age <= patience for process, age in status.processes.items() if process != DISPATCH
    )
    return ok(name, f"{reporting} report")


def _breaker(status: FleetStatus) -> CheckResult:
    name, phase = "breaker", Phase(status.relay)
    if phase is Phase.OPEN:
        advice = "Wait: users return by themselves. If it lasts, see the lines `relay` and `users`."
        return wrong(name, "open: most visits fail, so only a few users are asked", advice)
    return ok(name, str(phase))


def _waiting(status: FleetStatus, late: float, very_late: float) -> CheckResult:
    name, totals = "waiting", status.totals
    found = f"{totals.overdue} of {totals.users} users are overdue, the longest for {_length(status.longest_wait)}"
    if status.longest_wait <= late:
        return ok(name, found if totals.overdue else "nobody is overdue")
    if Phase(status.relay) is not Phase.CLOSED:
        return look(name, found, "They wait for the relay: see the line `breaker`.")
    advice = "See `dispatch` and `workers`. If these are well: more workers, or longer intervals."
    return (
        wrong(name, found, advice) if status.longest_wait > very_late else look(name, found, advice)
    )


def _users(status: FleetStatus) -> CheckResult:
    """Which users are not well. Overdue users have a line of their own."""
    name, users = "users", status.totals.users
    reasons = Counter(
        {why: count for why, count in status.reasons.items() if why != Standing.OVERDUE}
    )
    unwell = reasons.total()
    if not users:
        return look(
            name,
            "there are none",
            "`eagle-logger users add` enters one, `eagle-logger users import` many.",
        )
    if not unwell:
        return ok(name, f"{users}, and none of them is failing, parked or silent")
    common = reasons.most_common(_SHOWN)
    silent = max(
        (user.silence or 0.0 for user in status.users if not Standing(user.standing).is_well),
        default=0.0,
    )
    longest = f"; the longest without a reading: {_length(silent)}" if silent else ""
    found = (
        f"{unwell} of {users} are not well: "
        + ", ".join(f"{harmless(why)} {count}" for why, count in common)
        + longest
    )
    why = common[0][0].rpartition(": ")[2]
    advice = (
        f"{ADVICE.get(why, 'See the line `relay`.')} `eagle-logger status` names them, worst first."
    )
    return CheckResult(
        name, Grade.WRONG if unwell > MOST_FAIL * users else Grade.LOOK, found, advice
    )


def _hours(status: FleetStatus, grace: float) -> CheckResult:
    """Which hours should have been archived long ago. Hours where only stuck files are left are
    counted apart."""
    name, now = "hours", datetime.fromisoformat(status.at).timestamp()
    stuck = Counter(one.hour for one in status.stuck_hours)
    late = [
        hour.hour
        for hour in status.unarchived_hours
        if hour.files > stuck[hour.hour]
        and now > Hour.parse(hour.hour).end + grace + ARCHIVED_WITHIN
    ]
    found = [
        *([f"not archived: {len(late)} hours, the oldest {min(late)}"] if late else []),
        *([f"stuck: {stuck.total()} hours of single homes"] if stuck else []),
    ]
    if not found:
        return ok(name, "all that are over are archived, or about to be")
    advice = [
        *(["See the line `archive`; is a rotator running?"] if late else []),
        *(["docs/how-to/free-a-stuck-hour.md"] if stuck else []),
    ]
    return look(name, "; ".join(found), " ".join(advice))


def _clocks(status: FleetStatus) -> CheckResult:
    name = "clocks"
    off = [
        f"{harmless(process)} {ahead:+.1f} s"
        for process, ahead in status.clocks_ahead.items()
        if abs(ahead) > LARGEST_SKEW
    ]
    if off:
        advice = "Set the clocks of their machines (NTP): arrival times are wrong."
        return look(name, f"against Redis': {_some(off)}", advice)
    return ok(name, "no process' machine is more than 2 s from Redis'")


def _some(words: list[str]) -> str:
    more = len(words) - _SHOWN
    return ", ".join([*words[:_SHOWN], *([f"and {more} more"] if more > 0 else [])])


def _length(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
