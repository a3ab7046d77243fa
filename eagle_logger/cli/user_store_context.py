"""How a command reaches the store of users."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from eagle_logger import wiring
from eagle_logger.settings import Settings
from eagle_logger.users.store import UserStore

Result = TypeVar("Result")


def with_users(
    settings: Settings, action: Callable[[UserStore], Awaitable[Result]], *, passwords: bool = False
) -> Result:
    """Run `action` with the store of users, on an event loop of its own. With `passwords` the store
    can read and write passwords, for which it needs a key. Raises NoSecretKey, ConfigurationError,
    RedisUnavailable."""
    store = wiring.user_store(settings, passwords=passwords)

    async def run() -> Result:
        try:
            return await action(store)
        finally:
            await store.close()

    return asyncio.run(run())
