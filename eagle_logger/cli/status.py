"""`eagle-logger status`"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import sys
import time
from typing import NoReturn

import click
from pydantic_core import to_json
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from eagle_logger import wiring
from eagle_logger.cli.options import with_settings
from eagle_logger.cli.words import harmless, print_json
from eagle_logger.core.breaker import Phase
from eagle_logger.core.skew import LARGEST_SKEW
from eagle_logger.queues import ADHOC, DISPATCH, Broker, fetch_queues, rotate_queue
from eagle_logger.settings import Settings
from eagle_logger.status import Status, StuckHour, UserStatus, collect

WATCH_EVERY = 2.0
MOST_ROWS = 40
MOST_STUCK_ROWS = 10
RELAY = {
    Phase.CLOSED: "asked for everybody",
    Phase.OPEN: "away: most visits fail, so a few users a second ask on until it answers",
    Phase.RETURNING: "answers again: more and more users are asked",
}


@click.command()
@with_settings
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--watch", is_flag=True, help="Show it anew every two seconds, until Ctrl-C.")
def status(settings: Settings, *, as_json: bool, watch: bool) -> None:
    """Every user's last reading, failures and next turn; totals, queues and hours not archived yet."""
    console = Console()
    if not watch:
        gc.disable()  # with many users it would look again and again through what is all needed until the end
        _show(asyncio.run(_collect(settings)), console, as_json=as_json)
        return
    with contextlib.suppress(KeyboardInterrupt):
        if console.is_terminal and not as_json:
            _watch(settings, console)
        while True:
            _show(asyncio.run(_collect(settings)), console, as_json=as_json)
            sys.stdout.flush()
            time.sleep(WATCH_EVERY)


def _show(found: Status, console: Console, *, as_json: bool) -> None:
    if as_json:
        print_json(_json(found) + b"\n")
    elif console.is_terminal:
        console.print(_picture(found))
    else:
        _print_plain(found)


def _json(found: Status) -> bytes:
    """As `json.dumps`, which takes three times as long and is asked only where half a character, that a gateway made up, is not
    taken."""
    try:
        return to_json(found.as_json())
    except ValueError:
        return json.dumps(found.as_json()).encode()


async def _collect(settings: Settings) -> Status:
    store = wiring.user_store(settings, passwords=False)
    broker = Broker(settings.broker_address)
    try:
        names = [DISPATCH, ADHOC, *fetch_queues(settings.fetch_queues), *map(rotate_queue, await store.nodes())]
        return await collect(store, queues=broker.waiting(names), folder=wiring.log_folder(settings))
    finally:
        broker.close()
        await store.close()


def _watch(settings: Settings, console: Console) -> NoReturn:
    with Live(_picture(asyncio.run(_collect(settings))), console=console, screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(WATCH_EVERY)
            live.update(_picture(asyncio.run(_collect(settings))), refresh=True)


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "never"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _state(user: UserStatus) -> str:
    if user.why_not:
        return f"parked: {harmless(user.why_not)}"
    if user.failures:
        return f"{user.failures} failures: {harmless(user.last_error or '')}"
    if user.last_error:  # its state cannot be read
        return harmless(user.last_error)
    return "being fetched" if user.leased else "ok"


def _worst_first(users: list[UserStatus]) -> list[UserStatus]:
    return sorted(users, key=lambda user: (user.why_not is None, -user.failures, user.cloud_id))


def _picture(found: Status) -> RenderableType:
    table = Table(title=f"{found.totals.users} users at {found.at}", title_justify="left")
    for heading in ("user", "last reading", "age", "last hour", "total", "next due", "state"):
        table.add_column(heading, justify="right" if heading in {"age", "last hour", "total"} else "left")
    for user in _worst_first(found.users)[:MOST_ROWS]:
        table.add_row(
            user.cloud_id,
            user.last_reading or "never",
            _age(user.age),
            str(user.readings_last_hour),
            str(user.readings_total),
            user.next_due or "",
            Text(_state(user)),  # not markup, whatever stands in it
            style="red" if user.why_not else "yellow" if user.failures else None,
        )
    if len(found.users) > MOST_ROWS:
        table.caption = f"the {MOST_ROWS} that most need a look; --json has all {len(found.users)}"
    return Group(table, "", *map(Text, _totals(found)))


def _totals(found: Status) -> list[str]:
    totals = found.totals
    queues = ", ".join(f"{name} {length}" for name, length in found.queues.items())
    hours = ", ".join(f"{hour.hour} ({hour.files} files)" for hour in found.unarchived_hours) or "none"
    processes = ", ".join(f"{name} {_age(age)} ago" for name, age in found.processes.items()) or "none has reported"
    refused = (
        f"refused by the relay, and asked again within the hour: {totals.refused} (`eagle-logger users wake --all` has them "
        "asked at once; a changed password is entered with `eagle-logger users add`)"
    )
    parked = (
        f"parked, and not asked any more: {totals.parked} (`eagle-logger users add` corrects a password; was it the relay's "
        "trouble, `eagle-logger users wake --all` wakes all)"
    )
    wrong_clocks = ", ".join(
        f"{name} is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} Redis"
        for name, ahead in found.clocks_ahead.items()
        if abs(ahead) > LARGEST_SKEW
    )
    waiting = f"{totals.due} waiting their turn ({totals.overdue} overdue)"
    return [
        f"users: {totals.users}, {waiting}, {totals.leased} being fetched, {totals.parked} parked",
        *([refused] if totals.refused else []),
        *([parked] if totals.parked else []),
        f"messages waiting: {queues}",
        f"hours not archived yet: {hours}",
        *_stuck(found.stuck_hours),
        f"progress: {processes}",
        *([f"clocks that are wrong: {wrong_clocks} (set them, with NTP)"] if wrong_clocks else []),
        f"relay: {RELAY[Phase(found.relay)]}",
    ]


def _stuck(hours: list[StuckHour]) -> list[str]:
    """The oldest few, and what to do."""
    if not hours:
        return []
    lines = [
        f"  {one.cloud_id} {one.hour}: since {one.since}, tries: {one.tries}: {harmless(one.reason)}"
        for one in hours[:MOST_STUCK_ROWS]
    ]
    more = len(hours) - len(lines)
    what = "nobody else waits for them, and they are tried again by themselves"
    return [
        f"hours that are stuck: {len(hours)}; {what}. What to do: docs/how-to/free-a-stuck-hour.md",
        *lines,
        *([f"  and {more} more: --json has them"] if more else []),
    ]


def _print_plain(found: Status) -> None:
    for user in found.users:
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
