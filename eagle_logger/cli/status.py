"""`eagle-logger status`"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from heapq import nsmallest
from itertools import islice
from typing import Any, NoReturn

import click
from pydantic_core import to_json
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from eagle_logger import wiring
from eagle_logger.broker_queues import ADHOC, DISPATCH, Broker, fetch_queues, rotate_queue
from eagle_logger.cli.options import AGE, with_settings
from eagle_logger.cli.terminal_text import harmless, print_json
from eagle_logger.core.circuit_breaker import Phase
from eagle_logger.core.skew import LARGEST_SKEW_S
from eagle_logger.core.user_standing import Standing
from eagle_logger.inspection.fleet_status import (
    Expected,
    FleetStatus,
    StuckHour,
    UserStatus,
    collect,
    worst_first,
)
from eagle_logger.settings import Settings

WATCH_EVERY = 2.0
MOST_ROWS = 40
MOST_STUCK_ROWS = 10
MOST_REASONS = 10
FAILING = {Standing.PARKED, Standing.FAILING, Standing.UNREADABLE}
WORDS = {
    Standing.NEVER_READ: "it answers, and no reading ever came of it",
    Standing.LEASED: "being fetched",
    Standing.NEW: "not asked yet",
    Standing.OK: "ok",
}
ORDERS: dict[str, Callable[[UserStatus], Any]] = {
    "silence": worst_first,
    "failures": lambda user: (user.why_not is None, -user.failures, user.cloud_id),
    "due": lambda user: (user.next_due or "", user.cloud_id),
    "id": lambda user: user.cloud_id,
}
RELAY = {
    Phase.CLOSED: "asked for everybody",
    Phase.OPEN: "away: most visits fail, so a few users a second ask on until it answers",
    Phase.RETURNING: "answers again: more and more users are asked",
}


@dataclass(frozen=True, slots=True)
class UserSelection:
    """Which users are shown, and in which order."""

    failing: bool = False
    stale: float | None = None
    sort: str = "silence"
    limit: int | None = None

    def users(self, users: list[UserStatus], limit: int | None = None) -> list[UserStatus]:
        """The chosen ones of `users`. `limit` holds if no limit was chosen."""
        found = [user for user in users if self._has(user)]
        limit = self.limit if self.limit is not None else limit
        if limit is None:
            return sorted(found, key=ORDERS[self.sort])
        return nsmallest(limit, found, key=ORDERS[self.sort])

    def _has(self, user: UserStatus) -> bool:
        if self.failing and user.standing not in FAILING:
            return False
        if self.stale is None:
            return True
        if user.silence is None:
            return not Standing(user.standing).is_well
        return user.silence >= self.stale


@click.command()
@with_settings
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--watch", is_flag=True, help="Show it anew every two seconds, until Ctrl-C.")
@click.option(
    "--failing",
    is_flag=True,
    help="Only users whose visits fail, who are parked, or who cannot be read.",
)
@click.option(
    "--stale",
    type=AGE,
    metavar="AGE",
    help="Only users without a new reading for this long: 90s, 15m, 1h, 2d.",
)
@click.option(
    "--sort",
    type=click.Choice(list(ORDERS)),
    default="silence",
    show_default=True,
    help="silence: users who are not well first, and of those the longest without a new reading.",
)
@click.option(
    "--limit",
    type=click.IntRange(0),
    help=f"The most users to show. Default: {MOST_ROWS} on a terminal, else all.",
)
def status(
    settings: Settings,
    *,
    as_json: bool,
    watch: bool,
    failing: bool,
    stale: float | None,
    sort: str,
    limit: int | None,
) -> None:
    """Every user's last reading, failures and next turn; totals, queues and hours not archived yet.

    Whatever is chosen, the totals below are everybody's.
    """
    console = Console()
    chosen = UserSelection(failing, stale, sort, limit)
    if not watch:
        gc.disable()  # with many users it would look again and again through what is all needed until the end
        _show(asyncio.run(_collect(settings)), console, chosen, as_json=as_json)
        return
    with contextlib.suppress(KeyboardInterrupt):
        if console.is_terminal and not as_json:
            _watch(settings, console, chosen)
        while True:
            _show(asyncio.run(_collect(settings)), console, chosen, as_json=as_json)
            sys.stdout.flush()
            time.sleep(WATCH_EVERY)


def _show(found: FleetStatus, console: Console, chosen: UserSelection, *, as_json: bool) -> None:
    if as_json:
        print_json(_json(replace(found, users=chosen.users(found.users))) + b"\n")
    elif console.is_terminal:
        console.print(_picture(found, chosen))
    else:
        _print_plain(found, chosen)


def _json(found: FleetStatus) -> bytes:
    """As `json.dumps`, which takes three times as long and is asked only where half a character,
    that a gateway made up, is not taken."""
    try:
        return to_json(found.as_json())
    except ValueError:
        return json.dumps(found.as_json()).encode()


async def _collect(settings: Settings) -> FleetStatus:
    store = wiring.user_store(settings, passwords=False)
    broker = Broker(settings.broker_address)
    try:
        names = [
            DISPATCH,
            ADHOC,
            *fetch_queues(settings.fetch_queues),
            *map(rotate_queue, await store.fleet.nodes()),
        ]
        return await collect(
            store,
            queues=broker.waiting(names),
            folder=wiring.log_folder(settings),
            expected=Expected.by(settings),
        )
    finally:
        broker.close()
        await store.close()


def _watch(settings: Settings, console: Console, chosen: UserSelection) -> NoReturn:
    first = _picture(asyncio.run(_collect(settings)), chosen)
    with Live(first, console=console, screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(WATCH_EVERY)
            live.update(_picture(asyncio.run(_collect(settings)), chosen), refresh=True)


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "never"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _state(user: UserStatus) -> str:
    match Standing(user.standing):
        case Standing.PARKED:
            return f"parked: {harmless(user.why_not or '')}"
        case Standing.UNREADABLE:
            return harmless(user.unreadable or "")
        case Standing.FAILING:
            return f"{user.failures} failures: {harmless(user.last_error or '')}"
        case Standing.OVERDUE:
            never = "never read, and " if user.silence is None else ""
            return f"{never}its turn is {_age(user.late)} late"
        case Standing.SILENT:
            return f"it answers, but without a new reading for {_age(user.silence)}"
        case standing:
            return WORDS[standing]


def _picture(found: FleetStatus, chosen: UserSelection) -> RenderableType:
    table = Table(title=f"{found.totals.users} users at {found.at}", title_justify="left")
    for heading in ("user", "last reading", "age", "last hour", "total", "next due", "state"):
        table.add_column(
            heading, justify="right" if heading in {"age", "last hour", "total"} else "left"
        )
    users = chosen.users(found.users, MOST_ROWS)
    for user in users:
        table.add_row(
            user.cloud_id,
            user.last_reading or "never",
            _age(user.age),
            str(user.readings_last_hour),
            str(user.readings_total),
            user.next_due or "",
            Text(_state(user)),  # not markup, whatever stands in it
            style=_style(Standing(user.standing)),
        )
    if len(found.users) > len(users):
        table.caption = (
            f"{len(users)} of {len(found.users)}, by {chosen.sort}; --limit and --json have more"
        )
    return Group(table, "", *map(Text, _totals(found)))


def _style(standing: Standing) -> str | None:
    if standing in {Standing.PARKED, Standing.UNREADABLE}:
        return "red"
    return None if standing.is_well else "yellow"


def _totals(found: FleetStatus) -> list[str]:
    totals = found.totals
    queues = ", ".join(f"{name} {length}" for name, length in found.queues.items())
    hours = (
        ", ".join(f"{hour.hour} ({hour.files} files)" for hour in found.unarchived_hours) or "none"
    )
    processes = (
        ", ".join(f"{name} {_age(age)} ago" for name, age in found.processes.items())
        or "none has reported"
    )
    refused = (
        f"refused by the relay, and asked again within the hour: {totals.refused} (`eagle-logger users wake --all` asks them "
        "at once; `eagle-logger users add` enters a changed password)"
    )
    parked = (
        f"parked, and not asked any more: {totals.parked} (`eagle-logger users add` corrects a password; if the relay was at "
        "fault, `eagle-logger users wake --all` wakes all)"
    )
    wrong_clocks = ", ".join(
        f"{name} is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} Redis"
        for name, ahead in found.clocks_ahead.items()
        if abs(ahead) > LARGEST_SKEW_S
    )
    longest = (
        f", the longest for {_age(found.longest_wait)}"
        if totals.overdue and found.longest_wait
        else ""
    )
    waiting = f"{totals.due} waiting their turn ({totals.overdue} overdue{longest})"
    opened = sum(hour.files for hour in found.open_hours)
    return [
        f"users: {totals.users}, {waiting}, {totals.leased} being fetched, {totals.parked} parked",
        f"not well: {_reasons(found)}",
        *([refused] if totals.refused else []),
        *([parked] if totals.parked else []),
        f"messages waiting: {queues}",
        f"hours not archived yet: {hours}; {opened} files that are still open",
        *_stuck(found.stuck_hours),
        f"progress: {processes}",
        *([f"clocks that are wrong: {wrong_clocks} (set them, with NTP)"] if wrong_clocks else []),
        f"relay: {RELAY[Phase(found.relay)]}",
    ]


def _stuck(hours: list[StuckHour]) -> list[str]:
    """The oldest of them, and the page that says what to do."""
    if not hours:
        return []
    lines = [
        f"  {one.cloud_id} {one.hour}: since {one.since}, tries: {one.tries}: {harmless(one.reason)}"
        for one in hours[:MOST_STUCK_ROWS]
    ]
    more = len(hours) - len(lines)
    what = "no other hour waits for them, and rotation tries them again by itself"
    return [
        f"hours that are stuck: {len(hours)}; {what}. What to do: docs/how-to/free-a-stuck-hour.md",
        *lines,
        *([f"  and {more} more, which --json shows"] if more else []),
    ]


def _reasons(found: FleetStatus) -> str:
    shown = [
        f"{harmless(why)} {users}" for why, users in islice(found.reasons.items(), MOST_REASONS)
    ]
    more = sum(found.reasons.values()) - sum(islice(found.reasons.values(), MOST_REASONS))
    return ", ".join([*shown, *([f"others {more}"] if more else [])]) or "none"


def _print_plain(found: FleetStatus, chosen: UserSelection) -> None:
    for user in chosen.users(found.users):
        fields = (
            user.cloud_id,
            user.last_reading or "never",
            "" if user.age is None else f"{user.age:.0f}",
            user.readings_last_hour,
            user.readings_total,
            user.next_due or "",
            _state(user),
        )
        print(*fields, sep="\t")
    for line in _totals(found):
        print(f"# {line}")
