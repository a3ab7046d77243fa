"""Fault 4, for one home alone: S3 cannot read its objects at once, because they are in Glacier, or
denies its prefix."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from random import Random

from eagle_logger import wiring
from eagle_logger.core.paths import parse_archive_key
from tests.faults.scenario import Scenario, Strike, archiving
from tests.faults.system_under_test import Setup, Trial
from workers.up.simulators import read_homes

_AN_HOUR = 32.0
"""Real seconds that an hour of the trial takes."""


def strike_home(what: str, number: int, *, fault: str, methods: Sequence[str]) -> Strike:
    def begin(trial: Trial) -> None:
        home = read_homes(trial.plan.users_file)[number].user.cloud_id
        trial.notes["home"] = home
        trial.stand_ins.s3_misbehaves(
            {"fault": fault, "methods": methods, "key": f"cloud_id={home}/"}
        )
        trial.until(lambda: is_stuck(trial, home))

    def end(trial: Trial) -> None:
        await_the_others(trial)
        trial.stand_ins.s3_misbehaves()

    return Strike(what, begin, end, lasts=_AN_HOUR, flow=archiving)


def is_stuck(trial: Trial, home: str) -> bool:
    """Whether an hour of this home is stuck. This deletes archived files, as if their retention
    were over, so that only the archive shows what the parts hold."""
    folder = wiring.log_folder(trial.settings)
    for hour in folder.hours():
        for shard in folder.shards(hour):
            for sealed in folder.sealed_files_of(home, hour, shard):
                if sealed.receipt is not None:
                    folder.remove(sealed)
    return home in {one.cloud_id for hour in folder.hours() for one in folder.stuck(hour)}


def await_the_others(trial: Trial) -> None:
    """Wait until every complete hour of every home but the stuck one is archived, and more of
    theirs is stored."""
    folder, home = wiring.log_folder(trial.settings), trial.notes["home"]
    complete = trial.settings.clock.now() - trial.settings.rotate_grace
    hours = [hour for hour in folder.hours() if hour.end <= complete]

    def waiting() -> Iterator[str]:
        for hour in hours:
            for shard in folder.shards(hour):
                yield from (file.cloud_id for file in folder.open_files(hour, shard))
                yield from (
                    file.cloud_id
                    for file in folder.sealed_files(hour, shard)
                    if file.receipt is None
                )

    trial.until(lambda: set(waiting()) <= {home})
    before = len(stored_for_others(trial))
    trial.until(lambda: len(stored_for_others(trial)) > before)


def stored_for_others(trial: Trial) -> list[str]:
    named = [
        parse_archive_key(put["key"].partition("/")[2])
        for put in trial.stand_ins.puts()
        if put["outcome"] == "stored"
    ]
    return [one[0] for one in named if one is not None and one[0] != trial.notes["home"]]


def one_home(_: Random) -> Sequence[Strike]:
    glacier = strike_home("one home's objects are in Glacier", 2, fault="glacier", methods=["GET"])
    denied = strike_home(
        "S3 denies another home's prefix", 5, fault="403", methods=["PUT", "HEAD", "GET"]
    )
    return [glacier, denied]


def were_stuck(trial: Trial) -> Sequence[str]:
    log = (trial.manager.log_dir / "rotator.log").read_text().splitlines()
    stuck = [json.loads(line) for line in log if '"hour_is_stuck"' in line and line[:1] == "{"]
    trial.notes["stuck"] = str(len({(one["cloud_id"], one["hour"]) for one in stuck}))
    return (
        []
        if len({one["cloud_id"] for one in stuck}) == 2
        else ["the two homes were not stuck: this run shows nothing"]
    )


def how_many(trial: Trial) -> str:
    return f"{trial.notes['stuck']} hours were stuck, and the others' were archived beside them"


SCENARIOS = [
    Scenario(
        "s3-one-home",
        4,
        "S3: one home's objects in Glacier, then another home's prefix denied, an hour each",
        one_home,
        Setup(loses_index=True),
        further_findings=were_stuck,
        remark=how_many,
    )
]
