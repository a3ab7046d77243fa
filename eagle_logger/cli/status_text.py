"""What `eagle-logger status` prints: JSON, lines for a pipe, and a picture for a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice

from pydantic_core import to_json
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from eagle_logger.cli.terminal_text import harmless
from eagle_logger.cli.user_selection import UserSelection
from eagle_logger.core.circuit_breaker import Phase
from eagle_logger.core.skew import LARGEST_SKEW_S
from eagle_logger.core.user_standing import Standing
from eagle_logger.inspection.fleet_status import (
    TOO_MUCH_ADVICE,
    FleetStatus,
    StuckHour,
    TooMuch,
    UserStatus,
)

MOST_ROWS = 40
MOST_STUCK_ROWS = 10
MOST_REASONS = 10
LEASED_IN_WORDS = "waiting for a worker or being fetched"
"""No worker may take the message of a leased user for as long as its lease lasts: its node may be
drained."""
_STANDING_IN_WORDS = {
    Standing.NEVER_READ: "it answers, and no reading ever came of it",
    Standing.LEASED: LEASED_IN_WORDS,
    Standing.NEW: "not asked yet",
    Standing.OK: "ok",
}
_RELAY_IN_WORDS = {
    Phase.CLOSED: "no user is held back to spare it",
    Phase.OPEN: "away: most visits fail, so only a few users a second are asked until it answers",
    Phase.RETURNING: "answers again: more and more users are asked",
}


def fleet_json(fleet: FleetStatus) -> bytes:
    """Encode with pydantic, which takes a third of the time of `json.dumps`. It refuses a lone
    surrogate, which a gateway's text may hold. Then `json.dumps` writes it as an escape."""
    try:
        return to_json(fleet.as_json())
    except ValueError:
        return json.dumps(fleet.as_json()).encode()


def fleet_lines(fleet: FleetStatus, selection: UserSelection) -> Iterator[str]:
    """A line for each selected user, columns separated by tabs; then the totals, after `# `."""
    for user in selection.choose_from(fleet.users):
        columns = (
            user.cloud_id,
            user.last_reading or "never",
            "" if user.age is None else f"{user.age:.0f}",
            str(user.readings_last_hour),
            str(user.readings_total),
            user.next_due or "",
            state_in_words(user),
            rhythm_in_words(user),
        )
        yield "\t".join(columns)
    for line in totals_in_words(fleet):
        yield f"# {line}"


def fleet_picture(fleet: FleetStatus, selection: UserSelection) -> RenderableType:
    """A table of the first of the selected users, above the totals."""
    fleet_size = fleet.totals.users
    title = f"{fleet_size} {'user' if fleet_size == 1 else 'users'} at {fleet.at}"
    table = Table(title=title, title_justify="left")
    for heading in (
        "user",
        "last reading",
        "age",
        "last hour",
        "total",
        "next due",
        "rhythm",
        "state",
    ):
        is_number = heading in {"age", "last hour", "total"}
        table.add_column(heading, justify="right" if is_number else "left", overflow="fold")
    users = selection.choose_from(fleet.users, MOST_ROWS)
    for user in users:
        table.add_row(
            user.cloud_id,
            user.last_reading or "never",
            _age_in_words(user.age),
            str(user.readings_last_hour),
            str(user.readings_total),
            user.next_due or "",
            rhythm_in_words(user),
            Text(state_in_words(user)),  # a Text, so that a gateway's brackets are no markup
            style=_row_style(Standing(user.standing)),
        )
    selected = selection.count(fleet.users)
    if selected > len(users):
        count = f"{len(users)} of {selected}, by {selection.sort}"
        table.caption = f"{count}; --limit and --json have more"
    return Group(table, "", *map(Text, totals_in_words(fleet)))


def _row_style(standing: Standing) -> str | None:
    if standing in {Standing.PARKED, Standing.UNREADABLE}:
        return "red"
    return None if standing.is_well else "yellow"


def state_in_words(user: UserStatus) -> str:
    match Standing(user.standing):
        case Standing.PARKED:
            return f"parked: {harmless(user.why_not or '')}"
        case Standing.UNREADABLE:
            return harmless(user.unreadable or "")
        case Standing.FAILING:
            count = "1 failure" if user.failures == 1 else f"{user.failures} failures"
            return f"{count}: {harmless(user.last_error or '')}"
        case Standing.OVERDUE:
            never = "never read, and " if user.silence is None else ""
            return f"{never}its turn is {_age_in_words(user.late)} late"
        case Standing.SILENT:
            return f"it answers, but without a new reading for {_age_in_words(user.silence)}"
        case standing:
            return _STANDING_IN_WORDS[standing]


def rhythm_in_words(user: UserStatus) -> str:
    """The period of its meter, requests per reading and age at arrival; in brackets if its turns do
    not follow its meter."""
    if user.period is None or user.requests_per_reading is None or user.age_at_arrival is None:
        return ""
    rhythm = f"{user.period:.1f} s, {user.requests_per_reading:.2f}, {user.age_at_arrival:.1f} s"
    return rhythm if user.in_step else f"({rhythm})"


def _in_step_line(fleet: FleetStatus) -> str:
    followed = [user for user in fleet.users if user.in_step]
    requests = [user.requests_per_reading or 0.0 for user in followed]
    ages = [user.age_at_arrival or 0.0 for user in followed]
    if not followed:
        return "in step with their meters: no users"
    return (
        f"in step with their meters: {len(followed)} of {len(fleet.users)} users, "
        f"{sum(requests) / len(followed):.2f} requests a reading, which is "
        f"{sum(ages) / len(followed):.1f} s old when it comes"
    )


def _age_in_words(seconds: float | None) -> str:
    if seconds is None:
        return "never"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def totals_in_words(fleet: FleetStatus) -> list[str]:
    """The lines below the users. They count every user, whichever are selected."""
    queues = ", ".join(f"{name} {length}" for name, length in fleet.queues.items())
    hours = ", ".join(f"{hour.hour} ({hour.files} files)" for hour in fleet.unarchived_hours)
    open_files = sum(hour.files for hour in fleet.open_hours)
    processes = ", ".join(
        f"{name} {_age_in_words(age)} ago" for name, age in fleet.processes.items()
    )
    return [
        _users_line(fleet),
        *_too_much(fleet.too_much),
        f"not well: {_reasons_in_words(fleet)}",
        _in_step_line(fleet),
        *_refused_and_parked(fleet),
        f"messages waiting: {queues}",
        f"hours not archived yet: {hours or 'none'}; {open_files} files that are still open",
        *_unindexed_hours(fleet),
        *_late_days(fleet),
        *_stuck_hours(fleet.stuck_hours),
        f"progress: {processes or 'none has reported'}",
        *_wrong_clocks(fleet),
        f"relay: {_RELAY_IN_WORDS[Phase(fleet.relay)]}",
    ]


def _too_much(too_much: TooMuch | None) -> Iterator[str]:
    if too_much:
        yield f"too much: {too_much}. {TOO_MUCH_ADVICE}"


def _users_line(fleet: FleetStatus) -> str:
    totals = fleet.totals
    has_waited = totals.overdue and fleet.longest_wait
    longest = f", the longest for {_age_in_words(fleet.longest_wait)}" if has_waited else ""
    waiting = f"{totals.due} waiting their turn ({totals.overdue} overdue{longest})"
    leased = f"{totals.leased} {LEASED_IN_WORDS}"
    return f"users: {totals.users}, {waiting}, {leased}, {totals.parked} parked"


def _reasons_in_words(fleet: FleetStatus) -> str:
    counts = [
        f"{harmless(reason)} {users}"
        for reason, users in islice(fleet.reasons.items(), MOST_REASONS)
    ]
    others = sum(islice(fleet.reasons.values(), MOST_REASONS, None))
    return ", ".join([*counts, *([f"others {others}"] if others else [])]) or "none"


def _refused_and_parked(fleet: FleetStatus) -> Iterator[str]:
    if fleet.totals.refused:
        yield (
            f"refused by the relay, and asked again within the hour: {fleet.totals.refused} "
            "(`eagle-logger users wake --all` asks them at once; "
            "`eagle-logger users add` enters a changed password)"
        )
    if fleet.totals.parked:
        yield (
            f"parked, and not asked any more: {fleet.totals.parked} "
            "(`eagle-logger users add` corrects a password; if the relay was at fault, "
            "`eagle-logger users wake --all` wakes all)"
        )


def _unindexed_hours(fleet: FleetStatus) -> Iterator[str]:
    if fleet.unindexed_hours:
        oldest = fleet.unindexed_hours[0]
        yield (
            f"hours archived and not indexed: {len(fleet.unindexed_hours)}, the oldest "
            f"{oldest.hour}, archived {oldest.since} (their log files are kept a day longer; "
            "what to do: docs/how-to/read-an-alert.md, EagleHourNotIndexed)"
        )


def _late_days(fleet: FleetStatus) -> Iterator[str]:
    if fleet.late_days:
        oldest = fleet.late_days[0]
        yield (
            f"days complete and not in day tables: {len(fleet.late_days)}, the oldest "
            f"{oldest.day}, seen {oldest.since} (what to do: docs/how-to/read-an-alert.md, "
            "EagleDayNotRolledUp)"
        )


def _stuck_hours(hours: list[StuckHour]) -> Iterator[str]:
    """The oldest stuck hours, after a line with the page that says what to do."""
    if not hours:
        return
    yield (
        f"hours that are stuck: {len(hours)}; "
        "no other hour waits for them, and rotation tries them again by itself. "
        "What to do: docs/how-to/free-a-stuck-hour.md"
    )
    for stuck in hours[:MOST_STUCK_ROWS]:
        tries = f"since {stuck.since}, tries: {stuck.tries}: {harmless(stuck.reason)}"
        yield f"  {stuck.cloud_id} {stuck.hour}: {tries}"
    if len(hours) > MOST_STUCK_ROWS:
        yield f"  and {len(hours) - MOST_STUCK_ROWS} more, which --json shows"


def _wrong_clocks(fleet: FleetStatus) -> Iterator[str]:
    clocks = ", ".join(
        f"{name} is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} Redis"
        for name, ahead in fleet.clocks_ahead.items()
        if abs(ahead) > LARGEST_SKEW_S
    )
    if clocks:
        yield f"clocks that are wrong: {clocks} (set them, with NTP)"
