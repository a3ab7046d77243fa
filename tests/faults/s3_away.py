"""Fault 4: S3 refuses, stalls, loses its answer, stores other bytes, replaces objects; two rotators
run; a backlog of three days drains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from random import Random
from typing import Any

from eagle_logger.archive.s3 import PROBE_KEY
from eagle_logger.core.paths import parse_archive_key
from tests.faults.killed_processes import killed
from tests.faults.scenario import Scenario, Strike, archiving
from tests.faults.system_under_test import Setup, Trial

EVERY_METHOD = ("PUT", "HEAD", "GET")
Rule = Mapping[str, Any]


def misbehaves(what: str, lasts: float, *rules: Rule, calm: float = 1.0) -> Strike:
    return Strike(
        f"S3: {what}",
        lambda trial: trial.stand_ins.s3_misbehaves(*rules),
        lambda trial: trial.stand_ins.s3_misbehaves(),
        lasts=lasts,
        calm=calm,
        flow=archiving,
    )


def always(fault: str, *methods: str, **more: Any) -> Rule:
    return {"fault": fault, "methods": methods or ("PUT",), **more}


def answers(chance: Random) -> Sequence[Strike]:
    strikes = [
        misbehaves("500", chance.uniform(3, 7), always("500", *EVERY_METHOD)),
        misbehaves("503 SlowDown", chance.uniform(3, 7), always("503", *EVERY_METHOD)),
        misbehaves("409 on every PUT", chance.uniform(3, 7), always("409")),
        misbehaves("412 on every PUT, and no such object", chance.uniform(3, 7), always("412")),
        misbehaves(
            "403 on what is read, PUT goes on", chance.uniform(3, 7), always("403", "HEAD", "GET")
        ),
    ]
    chance.shuffle(strikes)
    return strikes


def wire(chance: Random) -> Sequence[Strike]:
    strikes = [
        misbehaves("no answer", chance.uniform(12, 20), always("hang", *EVERY_METHOD)),
        misbehaves("connections reset", chance.uniform(3, 7), always("reset", *EVERY_METHOD)),
        misbehaves(
            "every answer after 3 s",
            chance.uniform(6, 12),
            always("slow", *EVERY_METHOD, seconds=3.0),
        ),
        misbehaves("it stores, and its answer is lost", chance.uniform(6, 12), always("lost")),
        misbehaves(
            "it stores other bytes than were sent",
            chance.uniform(6, 12),
            always("corrupt", share=0.5),
        ),
    ]
    chance.shuffle(strikes)
    return strikes


def heedless(chance: Random) -> Sequence[Strike]:
    """A store without conditional writes, and a rotator that has not yet proved the store."""

    def begin(trial: Trial, rule: Rule) -> None:
        # A new rotator takes longer to start than the rule takes to come into force.
        trial.kill("rotator")
        trial.stand_ins.s3_misbehaves(rule)

    return [
        Strike(
            f"a rotator is new, and S3 {what}",
            partial(begin, rule=rule),
            lambda trial: trial.stand_ins.s3_misbehaves(),
            lasts=chance.uniform(10, 15),
            flow=archiving,
        )
        for what, rule in [
            ("takes no notice of If-None-Match", always("replace")),
            ("answers 501 to a put with a condition", always("501")),
        ]
    ]


def nothing_was_entrusted(trial: Trial) -> Iterator[str]:
    """Check that the store got nothing but the probe while it replaced objects."""
    replaced = [put["time"] for put in trial.stand_ins.puts() if put["outcome"] == "replaced"]
    if not replaced:
        yield "nothing was replaced: this run shows nothing"
    for put in trial.stand_ins.puts():
        if (
            replaced
            and replaced[0] <= put["time"] <= replaced[-1]
            and _key(put["key"]) != PROBE_KEY
        ):
            yield f"{put['key']} was put into a store that replaces objects"


def an_hour(_: Random) -> Sequence[Strike]:
    return [misbehaves("403 for an hour", 30, always("403", *EVERY_METHOD))]


def two_rotators(chance: Random) -> Sequence[Strike]:
    rules = [
        {"fault": "lost", "share": 0.1},
        {"fault": "500", "share": 0.1, "methods": EVERY_METHOD},
        {"fault": "409", "share": 0.1},
        {"fault": "slow", "share": 0.2, "seconds": 1.0, "methods": EVERY_METHOD},
    ]
    unwell = Strike(
        "S3 is moody from now on",
        lambda trial: trial.stand_ins.s3_misbehaves(*rules),
        flow=archiving,
    )
    return [
        unwell,
        *(killed(chance.choice(["rotator", "rotator-2"]), chance.uniform(1, 6)) for _ in range(6)),
    ]


def backlog(_: Random) -> Sequence[Strike]:
    return [misbehaves("403 for three days", 72, always("403", *EVERY_METHOD))]


def oldest_first(trial: Trial) -> Iterator[str]:
    """Check that no hour is archived before a much older one, once S3 takes objects again. The
    rotator archives four hours at a time."""
    puts = [put for put in trial.stand_ins.puts() if put["outcome"] == "stored"]
    refused = max(put["time"] for put in trial.stand_ins.puts() if put["outcome"] == "AccessDenied")
    hours = [
        named[1].start
        for put in puts
        if put["time"] > refused and (named := parse_archive_key(_key(put["key"])))
    ]
    waited = [hour for hour in hours if trial.settings.clock.now() - hour > 48 * 3600]
    if len({*waited}) < 24:
        yield f"only {len({*waited})} hours had waited for two days: this run shows nothing"
    for before, after in pairwise(waited):
        if after < before - 4 * 3600:
            yield f"an hour was archived before one that is {(before - after) / 3600:.0f} h older"


def _key(key: str) -> str:
    return key.partition("/")[2]


FAST = Setup(
    speed=3600,
    loses_index=True,
    settings={
        "demand_interval": "7200",
        "summation_interval": "14400",
        "price_interval": "28800",
        "message_interval": "86400",
        "rotate_open_every": "3600",
        "max_open_files": "64",
    },
    most_waiting=2 * 72 * 8,
)
"""An hour passes in a second, and only complete hours are archived. Rotation sends a message for
each hour and shard."""

SCENARIOS = [
    Scenario("s3-answers", 4, "S3 answers 500, 503 SlowDown, 409, 412, 403", answers),
    Scenario("s3-wire", 4, "S3: time-out, reset, slow, answer lost, stored bytes differ", wire),
    Scenario(
        "s3-heedless",
        4,
        "S3 without conditional writes: it replaces objects, or answers 501",
        heedless,
        further_findings=lambda trial: list(nothing_was_entrusted(trial)),
    ),
    Scenario("s3-hour", 4, "S3: 403 for an hour", an_hour),
    Scenario(
        "s3-rotators",
        4,
        "two rotators on one disk, killed in turn, S3 moody",
        two_rotators,
        Setup(settings={"rotate_workers": "2"}),
    ),
    Scenario(
        "s3-backlog",
        4,
        "S3: 403 for three days; the backlog drains oldest first",
        backlog,
        FAST,
        further_findings=lambda trial: list(oldest_first(trial)),
    ),
]
