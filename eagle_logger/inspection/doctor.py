"""`eagle-logger doctor`: runs every check of what readings need to flow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from eagle_logger import wiring
from eagle_logger.errors import EagleError
from eagle_logger.inspection.check_result import CheckResult, Grade
from eagle_logger.inspection.fleet_checks import check_fleet_status
from eagle_logger.inspection.fleet_status import Expected, FleetStatus, collect
from eagle_logger.inspection.machine_checks import (
    disk_has_room,
    key_is_there,
    node_takes_fetches,
    nothing_is_in_quarantine,
    nothing_was_unreadable_today,
    programs_run,
)
from eagle_logger.inspection.outside_checks import (
    archive_is_writable,
    clocks_agree,
    relay_is_reachable,
)
from eagle_logger.inspection.redis_checks import (
    broker_answers,
    redis_answers,
    redis_keeps_everything,
)
from eagle_logger.settings import Settings

CHECKS: list[Callable[[Settings], CheckResult]] = [
    redis_answers,
    redis_keeps_everything,
    broker_answers,
    key_is_there,
    disk_has_room,
    node_takes_fetches,
    programs_run,
    archive_is_writable,
    relay_is_reachable,
    clocks_agree,
    nothing_is_in_quarantine,
    nothing_was_unreadable_today,
]


def run_all(settings: Settings) -> list[CheckResult]:
    """Run every check, whatever the others found. Blocking; each takes a few seconds at most."""
    return [*(check(settings) for check in CHECKS), *check_fleet(settings)]


def worst(results: list[CheckResult]) -> Grade:
    return max((result.grade for result in results), default=Grade.OK)


def check_fleet(settings: Settings) -> list[CheckResult]:
    """The checks of users and processes, which all need one look into Redis."""
    try:
        status = asyncio.run(_fleet_status(settings))
    except EagleError as exc:
        advice = "Start Redis, or correct EAGLE_REDIS_URL. Without it nothing is fetched."
        found = f"nothing is known of users and processes: {exc}"
        return [CheckResult.wrong("fleet", found, advice)]
    return list(check_fleet_status(status, settings))


async def _fleet_status(settings: Settings) -> FleetStatus:
    store = wiring.user_store(settings, passwords=False)
    try:
        return await collect(
            store, queues={}, folder=wiring.log_folder(settings), expected=Expected.by(settings)
        )
    finally:
        await store.close()
