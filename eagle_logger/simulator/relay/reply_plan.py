"""What the rules that hit one reply make of it, sorted by who carries it out."""

from __future__ import annotations

from dataclasses import dataclass

from eagle_logger.simulator.relay import faults
from eagle_logger.simulator.relay.faults import AnyRule
from eagle_logger.simulator.relay.homes import Home
from eagle_logger.simulator.relay.seeded_random import mixed

Spoiler = (
    faults.Empty
    | faults.FaultStatus
    | faults.ErrorText
    | faults.ErrorXml
    | faults.Truncated
    | faults.Restarted
    | faults.Doubled
    | faults.Garbage
    | faults.Huge
    | faults.Flood
    | faults.Dirty
)
"""What replaces or damages a whole body."""


@dataclass(slots=True)
class ReplyPlan:
    """What is to happen to one reply; the default is nothing."""

    outcome: str = "ok"
    """The names of the faults, joined by +."""
    chance: int = 0
    """64 bits for whatever has to be drawn."""
    latency: faults.Latency | None = None
    hangs: bool = False
    resets: faults.Reset | None = None
    drips: faults.Drip | None = None
    closes: bool = False
    spoiler: Spoiler | None = None
    sentinel: faults.Sentinel | None = None
    seen_until: float | None = None
    clock_error: int = 0
    backlog: int = 0
    backwards: int = 0


HEALTHY = ReplyPlan()


def plan_of(rules: list[AnyRule], home: Home, number: int) -> ReplyPlan:
    """The plan for the number-th request for that home, of the rules that hit it."""
    if not rules:
        return HEALTHY
    plan = ReplyPlan(
        outcome="+".join(rule.fault for rule in rules), chance=mixed(number, home.salt ^ 0xFA17)
    )
    for rule in rules:
        _add(plan, rule)
    return plan


def _add(plan: ReplyPlan, rule: AnyRule) -> None:
    match rule:
        case faults.Latency():
            plan.latency = plan.latency or rule
        case faults.Hang():
            plan.hangs = True
        case faults.Reset():
            plan.resets = plan.resets or rule
        case faults.Drip():
            plan.drips = plan.drips or rule
        case faults.Close():
            plan.closes = True
        case faults.Stale():
            plan.seen_until = rule.since
        case faults.WrongClock():
            plan.clock_error += rule.offset
        case faults.Backlog():
            plan.backlog = max(plan.backlog, rule.count)
        case faults.Backwards():
            plan.backwards = rule.by
        case faults.Sentinel():
            plan.sentinel = rule
        case _:
            plan.spoiler = plan.spoiler or rule
