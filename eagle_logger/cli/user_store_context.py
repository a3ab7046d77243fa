"""How a command reaches the users."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from eagle_logger import wiring
from eagle_logger.core.paths import cloud_id_of
from eagle_logger.errors import BadCloudId
from eagle_logger.settings import Settings
from eagle_logger.users.store import UserStore

Result = TypeVar("Result")


def with_users(
    settings: Settings, action: Callable[[UserStore], Awaitable[Result]], *, passwords: bool = False
) -> Result:
    """Run `action` on the users, on an event loop of its own. Raises NoSecretKey,
    ConfigurationError, RedisUnavailable."""
    store = wiring.user_store(settings, passwords=passwords)

    async def run() -> Result:
        try:
            return await action(store)
        finally:
            await store.close()

    return asyncio.run(run())


def checked_cloud_id(text: str) -> str:
    """In its one spelling. Raises BadCloudId."""
    try:
        return cloud_id_of(text)
    except ValueError as exc:
        raise BadCloudId(str(exc)) from None
