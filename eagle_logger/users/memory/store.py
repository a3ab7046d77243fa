"""The user store in memory: an executable specification of the Lua scripts; not for production.

It gives the same answers as the store in Redis, which a test compares step by step
(`tests/contract/users/test_twins.py`), and keeps nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from eagle_logger.clock import Clock
from eagle_logger.users.cipher import Cipher, new_key
from eagle_logger.users.memory.fleet import MemoryFleet
from eagle_logger.users.memory.schedule import MemorySchedule
from eagle_logger.users.memory.tables import Tables
from eagle_logger.users.memory.users import MemoryUsers
from eagle_logger.users.store import UserStore


def memory_store(
    clock: Clock | Callable[[], float] | None = None,
    *,
    cipher: Cipher | None = None,
    lease: float = 20.0,
) -> UserStore:
    """An empty store. `clock`: a Clock, or a function that returns Unix seconds. `lease` is in real
    seconds. Without a `cipher` the store makes itself a key that dies with it."""
    source = Clock() if clock is None else clock
    speed = source if isinstance(source, Clock) else Clock()
    tables = Tables(
        now=source.now if isinstance(source, Clock) else source,
        steady=source.steady if isinstance(source, Clock) else source,
        speed=speed,
        cipher=cipher or Cipher([new_key()]),
        lease=speed.stretched(lease),
    )
    return UserStore(
        MemoryUsers(tables), MemorySchedule(tables), MemoryFleet(tables), close=_nothing_to_close
    )


async def _nothing_to_close() -> None:
    pass
