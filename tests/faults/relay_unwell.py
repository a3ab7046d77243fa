"""Fault 8: all that can go wrong with a reply of Rainforest's relay does so, for some homes, for
many, for all; and one home hangs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, get_args

from eagle_logger.simulator.relay.faults import AnyRule
from tests.faults.scenario import Scenario, Strike
from tests.faults.system_under_test import Trial

Rule = dict[str, Any]

_MORE: Mapping[str, Rule] = {
    "latency": {"seconds": 2.0, "spread": 1.0},
    "status": {"status": 503, "retry_after": 1},
    "wrong_clock": {"offset": 5000},
}
"""Fault → what its rule needs beside the name."""
FAULTS = tuple(
    fault
    for rule in get_args(get_args(AnyRule)[0])
    if (fault := rule.model_fields["fault"].annotation.__args__[0]) != "flood"
)
"""Every fault of the simulator, except the one that invents readings: `hostile_homes` has it."""


def rule(fault: str, share: float) -> Rule:
    return {"fault": fault, "share": share, **_MORE.get(fault, {})}


def unwell(what: str, lasts: float, rules: Sequence[Rule], seed: int) -> Strike:
    return Strike(
        f"the relay: {what}",
        lambda trial: trial.stand_ins.relay_misbehaves(*rules, seed=seed),
        lambda trial: trial.stand_ins.relay_misbehaves(),
        lasts=lasts,
        calm=0.5,
    )


def each_alone(chance: Random) -> Sequence[Strike]:
    """Each fault in all replies."""
    return [
        unwell(f"{fault} in all replies", 3, [rule(fault, 1.0)], chance.randrange(1000))
        for fault in FAULTS
    ]


def all_at_once(share: float) -> Any:
    def plan(chance: Random) -> Sequence[Strike]:
        rules = [rule(fault, share) for fault in FAULTS]
        chance.shuffle(rules)
        return [
            unwell(
                f"every fault there is in {share:.0%} of the replies",
                30,
                rules,
                chance.randrange(1000),
            )
        ]

    return plan


def one_hangs(_: Random) -> Sequence[Strike]:
    def begin(trial: Trial) -> None:
        trial.notes["well"] = trial.lateness()
        trial.stand_ins.relay_misbehaves(
            {"fault": "hang", "homes": [min(trial.stand_ins.per_home())]}
        )

    def end(trial: Trial) -> None:
        trial.notes["hanging"] = trial.lateness()
        trial.stand_ins.relay_misbehaves()

    return [Strike("one home hangs at every request", begin, end, lasts=30, calm=30)]


def lateness(trial: Trial) -> str:
    return (
        f"lateness of all visits {trial.notes['well']} before, {trial.notes['hanging']} meanwhile"
    )


SCENARIOS = [
    Scenario(
        "relay-1",
        8,
        "every fault that the simulator has, at once, each in 1 % of replies",
        all_at_once(0.01),
    ),
    Scenario("relay-10", 8, "the same in 10 % of replies", all_at_once(0.1)),
    Scenario("relay-100", 8, "each of the faults in all replies, one after the other", each_alone),
    Scenario(
        "relay-hang", 8, "one home of eight hangs at every request", one_hangs, remark=lateness
    ),
]
