"""Fault 8: homes whose gateways are hostile, or so broken that they seem to be. They must cost the
other homes nothing."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from random import Random
from typing import Any

import redis

from eagle_logger import wiring
from eagle_logger.core.sealing import LARGEST_HOUR
from tests.faults.scenario import Scenario, Strike
from tests.faults.system_under_test import Setup, Trial

SETUP = Setup(homes=24)
FLOODING, HUGE, DRIPPING = 4, 2, 2
"""How many of the homes are hostile."""
LASTS = 30.0
TURN = 2.0
"""Real seconds between two visits: the demand interval at the speed of SETUP."""
MOST_WAITED = 2 * TURN
"""Real seconds that another home may wait beyond its turn."""
MOST_STATE = 24_576
"""The most bytes of one user's state in Redis."""
DRIP = 200
"""Bytes a second: a demand comes within the deadline, a backlog does not."""


def hostile(chance: Random) -> Sequence[Strike]:
    seed = chance.randrange(1000)

    def begin(trial: Trial) -> None:
        homes = sorted(trial.stand_ins.per_home())
        some = Random(seed).sample(homes, FLOODING + HUGE + DRIPPING)
        flooding, others = some[:FLOODING], some[FLOODING:]
        huge, dripping = others[:HUGE], others[HUGE:]
        trial.hostile = frozenset(some)
        trial.notes["begins"] = repr(_now(trial))
        trial.stand_ins.relay_misbehaves(
            {"fault": "flood", "homes": flooding},
            {"fault": "huge", "homes": huge},
            {"fault": "backlog", "count": 20, "homes": dripping},
            {"fault": "drip", "bytes_per_second": DRIP, "homes": dripping},
            seed=seed,
        )

    def end(trial: Trial) -> None:
        trial.notes["ends"] = repr(_now(trial))
        trial.stand_ins.relay_misbehaves()

    what = (
        f"{FLOODING} homes answer with 1 MiB of readings of meters made up anew, "
        f"{HUGE} with 2 MiB, {DRIPPING} drop by drop"
    )
    return [Strike(what, begin, end, lasts=LASTS, calm=4.0)]


def _now(trial: Trial) -> float:
    """The wall clock of the latest reply."""
    return max(float(row["wall"]) for row in _replies(trial))


def _replies(trial: Trial) -> Iterator[dict[str, Any]]:
    for row in trial.plan.ledger.read_bytes().splitlines(keepends=True):
        if row.endswith(b"\n"):
            yield json.loads(row)


def longest_wait(trial: Trial) -> float:
    """Seconds between two replies to one of the other homes during the attack."""
    begins, ends = float(trial.notes["begins"]), float(trial.notes["ends"])
    served: defaultdict[str, list[float]] = defaultdict(list)
    for row in _replies(trial):
        if row["cloud_id"] not in trial.hostile and begins <= row["wall"] <= ends:
            served[row["cloud_id"]].append(row["wall"])
    assert len(served) == SETUP.homes - len(trial.hostile)
    return max(
        later - sooner
        for moments in served.values()
        for sooner, later in pairwise([begins, *moments, ends])
    )


def harm(trial: Trial) -> list[str]:
    return [*_waits(trial), *_sizes(trial)]


def _waits(trial: Trial) -> Iterator[str]:
    waited = longest_wait(trial)
    if waited > TURN + MOST_WAITED:
        yield f"another home waited {waited:.1f} s for its turn"


def _sizes(trial: Trial) -> Iterator[str]:
    """Check the sizes of files on the disk and of states in Redis. The archive's objects have the
    files' bound, because they were on the disk before."""
    folder = wiring.log_folder(trial.settings)
    for hour in folder.hours():
        for shard in folder.shards(hour):
            for file in folder.sealed_files(hour, shard):
                if file.path.stat().st_size > LARGEST_HOUR:
                    yield f"{file.path.name} has {file.path.stat().st_size} bytes"
    problems = trial.run(trial.store.fleet.tally())
    for what in ("too_many", "too_large"):
        if not problems.get(f"problems_{what}"):
            yield f"no reply was counted as {what}"
    with redis.Redis.from_url(trial.direct_redis_url) as server:
        for cloud_id in trial.hostile:
            size = int(server.hstrlen("eagle:states", cloud_id))
            if size > MOST_STATE:
                yield f"the state of {cloud_id} has {size} bytes"


def longest_waits(trial: Trial) -> str:
    return f"the others waited {longest_wait(trial):.1f} s at most, of a turn of {TURN:g} s"


SCENARIOS = [
    Scenario(
        "relay-hostile",
        8,
        "eight homes of 24: replies of 1 and 2 MiB, new MACs in each, a slow drip",
        hostile,
        SETUP,
        further_findings=harm,
        remark=longest_waits,
    )
]
