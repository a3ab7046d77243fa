"""The scripts and `core.schedule` get the same due times, to the last bit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.commands.core import Script

from eagle_logger.core.schedule import Grid, missed_turns, next_due
from eagle_logger.users.redis.redis_connection import lua_file

_ARITHMETIC = """
local due, now = tonumber(ARGV[1]), tonumber(ARGV[2])
local period, phase = tonumber(ARGV[3]), tonumber(ARGV[4])
return {exact(next_due(now, period, phase)), exact(missed_turns(due, now, period, phase))}
"""


@pytest.fixture
def run_arithmetic(redis_url: str) -> Iterator[Script]:
    with redis.Redis.from_url(redis_url) as client:
        yield client.register_script(lua_file("common") + _ARITHMETIC)


@settings(
    max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    due=st.floats(0, 4e9),
    wait=st.one_of(st.floats(0, 1e5), st.sampled_from([0.0, 6.0, 12.0])),
    grid=st.builds(
        Grid,
        st.one_of(st.sampled_from([1.0, 6.0, 240.0, 0.1, 7.3]), st.floats(1, 1e6)),
        st.floats(0, 1e6),
    ),
)
def test_the_scripts_and_core_schedule_agree_on_the_next_turn_and_missed_turns(
    run_arithmetic: Script, due: float, wait: float, grid: Grid
) -> None:
    now = due + wait
    answer = run_arithmetic(args=[repr(due), repr(now), repr(grid.period), repr(grid.phase)])
    assert [float(word) for word in answer] == [next_due(now, grid), missed_turns(due, now, grid)]
