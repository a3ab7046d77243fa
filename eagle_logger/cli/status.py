"""`eagle-logger status`"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from dataclasses import replace

import click
from rich.console import Console
from rich.live import Live

from eagle_logger import wiring
from eagle_logger.broker_queues import ADHOC, DISPATCH, Broker, fetch_queues, rotate_queue
from eagle_logger.cli.options import AGE, with_settings
from eagle_logger.cli.status_text import MOST_ROWS, fleet_json, fleet_lines, fleet_picture
from eagle_logger.cli.terminal_text import print_json
from eagle_logger.cli.user_selection import ORDERS, UserSelection
from eagle_logger.inspection.fleet_status import Expected, FleetStatus, collect
from eagle_logger.rotation.stop_request import StopRequest
from eagle_logger.settings import Settings

WATCH_EVERY_S = 2.0


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

    The totals count every user, whichever users the options select.
    """
    console = Console()
    selection = UserSelection(failing, stale, sort, limit)
    if not watch:
        # With many users, each search would go through objects that are all needed until the end.
        gc.disable()
        _print_fleet(asyncio.run(_collect_status(settings)), console, selection, as_json=as_json)
        return
    # A KeyboardInterrupt may get lost: asyncio makes a cancellation of it, which a library may take
    # for its own time-out.
    stop = StopRequest(signal.SIGINT)
    if console.is_terminal and not as_json:
        _watch_fleet(settings, console, selection, stop)
        return
    while not stop.asked:
        _print_fleet(asyncio.run(_collect_status(settings)), console, selection, as_json=as_json)
        sys.stdout.flush()
        stop.wait(WATCH_EVERY_S)


async def _collect_status(settings: Settings) -> FleetStatus:
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


def _print_fleet(
    fleet: FleetStatus, console: Console, selection: UserSelection, *, as_json: bool
) -> None:
    if as_json:
        users = selection.choose_from(fleet.users)
        print_json(fleet_json(replace(fleet, users=users)) + b"\n")
    elif console.is_terminal:
        console.print(fleet_picture(fleet, selection))
    else:
        for line in fleet_lines(fleet, selection):
            print(line)


def _watch_fleet(
    settings: Settings, console: Console, selection: UserSelection, stop: StopRequest
) -> None:
    first = fleet_picture(asyncio.run(_collect_status(settings)), selection)
    with Live(first, console=console, screen=True, auto_refresh=False) as live:
        stop.wait(WATCH_EVERY_S)
        while not stop.asked:
            fleet = asyncio.run(_collect_status(settings))
            live.update(fleet_picture(fleet, selection), refresh=True)
            stop.wait(WATCH_EVERY_S)
