"""The time that counts for users in Redis: Redis' own, except under a test's accelerated clock."""

from __future__ import annotations

import time

from eagle_logger.clock import Clock
from eagle_logger.core.clock_jumps import ClockJumps
from eagle_logger.core.schedule import REQUEST_GAP
from eagle_logger.users.redis.redis_connection import RedisConnection


class RedisTime:
    """Converts between the time of Redis and that of this machine. `lease` is in real seconds."""

    def __init__(self, redis: RedisConnection, clock: Clock, *, lease: float) -> None:
        self._redis = redis
        self.clock = clock
        self.jumps = ClockJumps()
        self._lease = lease

    async def now(self) -> float:
        """The store's time, in Unix seconds."""
        if self.clock.is_accelerated:
            return self.clock.now()
        sent = time.monotonic()
        seconds, microseconds = await self._redis.command("TIME")
        now = int(seconds) + int(microseconds) / 1e6
        self.jumps.note(now, sent=sent, received=time.monotonic())
        return now

    def script_now(self) -> str:
        """The argument `now` of a script: empty if the script is to use Redis' own time."""
        return repr(self.clock.now()) if self.clock.is_accelerated else ""

    def script_now_and_lease(self) -> tuple[str, float]:
        """The arguments `now` and `lease` of a script."""
        return self.script_now(), self.clock.stretched(self._lease)

    @property
    def lease_ms(self) -> int:
        """Real milliseconds that no lease outlasts."""
        return int(self._lease * 1000) + 1

    def was_set(self, now: float, sent: float) -> bool:
        """Whether Redis' clock was set within the last `REQUEST_GAP`. If so, it cannot show how
        long ago a gateway was asked. `now`: what Redis' clock shows in an answer that was just
        received; `sent`: when it was asked for (`time.monotonic()`)."""
        if self.clock.is_accelerated:
            return False
        received = time.monotonic()
        self.jumps.note(now, sent=sent, received=received)
        return self.jumps.any_since(received - REQUEST_GAP)
