from __future__ import annotations

import asyncio
from typing import Any

from eagle_logger.simulator.http.timer_wheel import TICK_S, TimerWheel


async def test_callbacks_run_at_about_their_time_and_in_order() -> None:
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    wheel, calls, now = TimerWheel(loop), list[tuple[str, float]](), loop.time()
    for name, delay in (("late", 0.03), ("early", 0.01)):
        wheel.call_at(now + delay, lambda name=name: calls.append((name, loop.time() - now)))  # type: ignore[misc]
    wheel.call_at(now + 0.05, done.set)
    await done.wait()
    assert [name for name, _ in calls] == ["early", "late"]
    assert calls[0][1] >= 0.01 - TICK_S


async def test_a_callback_that_raises_does_not_stop_the_others() -> None:
    loop, done, errors = asyncio.get_running_loop(), asyncio.Event(), list[Any]()
    loop.set_exception_handler(lambda _, context: errors.append(context["exception"]))
    wheel, now = TimerWheel(loop), loop.time()

    def fail() -> None:
        raise ZeroDivisionError

    wheel.call_at(now, fail)
    wheel.call_at(now, done.set)
    await asyncio.wait_for(done.wait(), 5)
    assert [type(error) for error in errors] == [ZeroDivisionError]
