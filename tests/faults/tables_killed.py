"""Fault 12: the roller of day tables is killed while it works, and S3 misbehaves."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random

from eagle_logger import wiring
from tests.faults.s3_away import always
from tests.faults.scenario import Scenario, Strike, archiving
from tests.faults.system_under_test import Setup, Trial
from workers.up.programs import ROLLER

_RULES = {
    "": (),
    ", which stores and loses its answer": (always("lost"),),
    ", which answers 503 to half of all": (always("503", "PUT", "HEAD", "GET", share=0.5),),
    ", which is slow": (always("slow", "PUT", "GET", seconds=0.3),),
}


def roll_up_now(trial: Trial) -> None:
    """Ask for the tables of what is archived so far, as beat does."""
    celery = [sys.executable, str(Path(sys.executable).parent / "celery"), "-A", "workers.app"]
    options = ["--queue", "tables", "--kwargs", json.dumps({"include_open": True})]
    subprocess.run(
        [*celery, "call", "roll_up", *options],
        env=trial.environment,
        check=True,
        capture_output=True,
        timeout=100,
    )


def killed_at_work(chance: Random) -> Sequence[Strike]:
    strikes = []
    for what, rules in [*_RULES.items()] * 2:

        def begin(trial: Trial, rules: Sequence[object] = rules) -> None:
            trial.stand_ins.s3_misbehaves(*rules)  # type: ignore[arg-type]  # rules of s3_away
            roll_up_now(trial)

        def end(trial: Trial) -> None:
            trial.kill(ROLLER)
            trial.stand_ins.s3_misbehaves()

        lasts, calm = chance.uniform(0, 1.5), chance.uniform(0, 2)
        name = f"kill -9 of the roller at work, with S3{what}"
        strikes.append(Strike(name, begin, end, lasts=lasts, calm=calm, flow=archiving))
    chance.shuffle(strikes)
    return strikes


def wrong_in_tables(trial: Trial) -> Sequence[str]:
    """What `tables verify` finds, once the next roller has finished what was left."""
    tables = wiring.day_tables(trial.settings)
    findings = []
    now = trial.settings.clock.now()
    for day, bucket in tables.work(now, [], include_open=True):
        result = tables.build(day, bucket, now)
        findings += [f"{key}: {why}" for key, why in {**result.problems, **result.refused}.items()]
    verdicts = [tables.verify(built.day) for built in tables.built()]
    if not sum(verdict.rows for verdict in verdicts):
        findings.append("no day table was made")
    for verdict in verdicts:
        findings += [*verdict.wrong, *(f"{key}: in no table" for key in verdict.not_in_tables)]
    return findings


SCENARIOS = [
    Scenario(
        "tables-killed",
        12,
        "kill -9 of the roller of day tables at work, S3 moody",
        killed_at_work,
        setup=Setup(),
        further_findings=wrong_in_tables,
    ),
]
