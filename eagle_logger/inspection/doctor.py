"""Checks everything that must be right for readings to flow, and says what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from eagle_logger import wiring
from eagle_logger.errors import EagleError
from eagle_logger.inspection import fleet
from eagle_logger.inspection.finding import CheckResult, Grade, wrong
from eagle_logger.inspection.fleet_status import Expected, FleetStatus, collect
from eagle_logger.inspection.outside import archive_is_writable, clocks_agree, relay_is_reachable
from eagle_logger.inspection.redis_servers import (
    broker_answers,
    redis_answers,
    redis_keeps_everything,
)
from eagle_logger.inspection.this_machine import (
    disk_has_room,
    key_is_there,
    node_takes_fetches,
    nothing_is_in_quarantine,
    nothing_was_unreadable_today,
    programs_run,
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
    return [*(check(settings) for check in CHECKS), *fleet_findings(settings)]


def worst(findings: list[CheckResult]) -> Grade:
    return max((finding.grade for finding in findings), default=Grade.OK)


def fleet_findings(settings: Settings) -> list[CheckResult]:
    try:
        return list(fleet.findings(asyncio.run(_status(settings)), settings))
    except EagleError as exc:
        advice = "Start Redis, or correct EAGLE_REDIS_URL. Without it nothing is fetched."
        return [wrong("fleet", f"nothing is known of users and processes: {exc}", advice)]


async def _status(settings: Settings) -> FleetStatus:
    store = wiring.user_store(settings, passwords=False)
    try:
        return await collect(
            store, queues={}, folder=wiring.log_folder(settings), expected=Expected.by(settings)
        )
    finally:
        await store.close()
