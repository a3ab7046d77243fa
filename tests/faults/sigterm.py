"""Fault 11: SIGTERM at any moment. Nothing is lost or doubled, and every program ends within its
grace period."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from tests.faults.scenario import Act, Scenario, Strike, archiving, nothing
from tests.faults.system_under_test import Trial
from workers.up.programs import REDIS, Stage

_SYSTEM = (Stage.ROTATING, Stage.FETCHING, Stage.DISPATCHING, Stage.TRIGGERS)


def all_at_once(trial: Trial) -> None:
    """Stop every program at the same moment. Supervisor kills one that exceeds its grace period,
    and that counts as a death."""
    before, began = trial.deaths_so_far(), time.monotonic()
    trial.watch.end()
    trial.manager.stop(trial.names(*_SYSTEM))
    took = time.monotonic() - began
    trial.notes["longest"] = f"{max(took, float(trial.notes.get('longest', '0'))):.1f}"
    assert trial.deaths_so_far() == before, "a program did not end within its grace period"


def stopped(what: str, begin: Act = nothing, end: Act = nothing, *, lasts: float) -> Strike:
    """Do `begin`; after `lasts` seconds stop everything, do `end`, and start everything again."""

    def stop_and_mend(trial: Trial) -> None:
        all_at_once(trial)
        end(trial)
        trial.start_the_rest()

    return Strike(f"SIGTERM {what}", begin, stop_and_mend, lasts=lasts, calm=1.0, flow=archiving)


def s3(trial: Trial, *rules: Any) -> None:
    trial.stand_ins.s3_misbehaves(*rules)


def relay(trial: Trial, *rules: Any) -> None:
    trial.stand_ins.relay_misbehaves(*rules)


def send(name: str, number: int) -> Callable[[Trial], None]:
    return lambda trial: trial.signal(name, number)


def during_everything(chance: Random) -> Sequence[Strike]:
    everything = ("PUT", "HEAD", "GET")
    strikes = [
        stopped("while all is well", lasts=chance.uniform(0, 3)),
        stopped(
            "while S3 is slow",
            lambda trial: s3(trial, {"fault": "slow", "methods": everything, "seconds": 4.0}),
            s3,
            lasts=chance.uniform(4, 8),
        ),
        stopped(
            "while S3 does not answer",
            lambda trial: s3(trial, {"fault": "hang", "methods": everything}),
            s3,
            lasts=8,
        ),
        stopped(
            "while every gateway hangs",
            lambda trial: relay(trial, {"fault": "hang"}),
            relay,
            lasts=chance.uniform(4, 8),
        ),
        stopped(
            "while Redis is paused",
            send(REDIS, signal.SIGSTOP),
            send(REDIS, signal.SIGCONT),
            lasts=chance.uniform(2, 8),
        ),
    ]
    chance.shuffle(strikes)
    return strikes


def longest(trial: Trial) -> str:
    return f"all programs at the same moment, the longest took {trial.notes['longest']} s"


SCENARIOS = [Scenario("stop", 11, "SIGTERM during everything", during_everything, remark=longest)]
