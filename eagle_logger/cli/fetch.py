"""`eagle-logger fetch`"""

from __future__ import annotations

import asyncio
import os
import sys

import click

from eagle_logger import wiring
from eagle_logger.cli.options import CLOUD_ID, with_settings
from eagle_logger.cli.terminal_text import harmless, print_json
from eagle_logger.errors import EagleError
from eagle_logger.fetching.manual_fetch import fetch_now
from eagle_logger.fetching.visit import FETCHED, Visit
from eagle_logger.inspection.ledger_file import DRY_RUN
from eagle_logger.settings import Settings


@click.command()
@with_settings
@click.argument("cloud_id", type=CLOUD_ID)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Ask the gateway, but log nothing and leave the user's state as it was.",
)
def fetch(settings: Settings, cloud_id: str, *, dry_run: bool) -> None:
    """Fetch one user now and print the new readings, one JSON line each, as they are logged.

    If a worker is fetching the user at this moment, the command waits until that visit has ended: a
    gateway is never asked twice at once.
    """
    visit = asyncio.run(_fetch_user(settings, cloud_id, dry_run=dry_run))
    for lines in visit.lines.values():
        for line in lines:
            print_json(line)
    for problem in visit.problems:
        print(harmless(f"{problem.what}: {problem.detail}"), file=sys.stderr)
    if visit.outcome != FETCHED:
        print(harmless(f"{cloud_id}: {visit.state.last_error or visit.outcome}"), file=sys.stderr)
        sys.exit(1)
    if not visit.readings:
        print(f"{cloud_id}: nothing new since the last fetch", file=sys.stderr)


async def _fetch_user(settings: Settings, cloud_id: str, *, dry_run: bool) -> Visit:
    hold = wiring.drain(settings).lock()
    if hold is None:
        raise EagleError(
            "this node is drained, and nothing is added to its disk: "
            "`eagle-logger drain --undo` ends that"
        )
    try:
        # Each request carries this name. The simulator notes it in its ledger, where `verify` sees
        # which readings only a dry run was served.
        name = DRY_RUN if dry_run else "by-hand"
        store, holder = wiring.user_store(settings, passwords=True), f"by-hand/{os.getpid()}"
        logger = await wiring.data_logger(settings, store.schedule, name=name, holder=holder)
        try:
            return await fetch_now(
                logger, store, cloud_id, dry_run=dry_run, patience=settings.lease
            )
        finally:
            await logger.close()
            await store.close()
    finally:
        hold.release()
