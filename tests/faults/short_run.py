"""A few strikes of several kinds on one system, short enough for `make test`."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from tests.faults import killed_processes, redis_away, s3_away, sigterm
from tests.faults.scenario import Scenario, Strike
from workers.up.programs import REDIS


def a_bit_of_everything(chance: Random) -> Sequence[Strike]:
    calm = [chance.uniform(0, 1) for _ in range(3)]
    return [
        killed_processes.killed("fetch-1", calm[0]),
        s3_away.misbehaves(
            "it stores, and its answer is lost", 3, s3_away.always("lost"), calm=calm[1]
        ),
        redis_away.strike(
            "kill -9 of Redis, which starts again with its AOF",
            redis_away.killed(REDIS),
            calm=calm[2],
        ),
        sigterm.stopped("while all is well", lasts=chance.uniform(0, 1)),
    ]


SCENARIOS = [
    Scenario(
        "brief",
        1,
        "a strike each of faults 1, 3, 4 and 11 on one system",
        a_bit_of_everything,
        short=True,
    )
]
