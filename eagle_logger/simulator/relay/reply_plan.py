"""What the rules that hit one reply do to it, sorted by the module that carries it out."""

from __future__ import annotations

from dataclasses import dataclass

from eagle_logger.simulator.relay import faults
from eagle_logger.simulator.relay.faults import AnyRule
from eagle_logger.simulator.relay.homes import Home
from eagle_logger.simulator.relay.seeded_random import random_bits

BodyFault = (
    faults.Empty
    | faults.ErrorStatus
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
"""A rule that replaces or damages a whole body."""


@dataclass(slots=True)
class ReplyPlan:
    """What is done to one reply; by default nothing."""

    outcome: str = "ok"
    """The names of the faults, joined by +."""
    random_bits: int = 0
    """64 bits from which the faults draw what they need."""
    # Carried out by `relay`.
    latency: faults.Latency | None = None
    hangs: bool = False
    reset: faults.Reset | None = None
    drip: faults.Drip | None = None
    closes: bool = False
    # Carried out by `broken_replies`.
    body_fault: BodyFault | None = None
    sentinel: faults.Sentinel | None = None
    # Carried out by `gateway`: see `GatewayState`.
    shown_until: float | None = None
    clock_error: int = 0
    backlog: int = 0
    backwards: int = 0


HEALTHY = ReplyPlan()


def plan_of(rules: list[AnyRule], home: Home, number: int) -> ReplyPlan:
    """The plan for request `number` for that home, which these rules hit."""
    if not rules:
        return HEALTHY
    plan = ReplyPlan(
        outcome="+".join(rule.fault for rule in rules),
        random_bits=random_bits(number, home.salt ^ 0xFA17),
    )
    for rule in rules:
        _add_rule(plan, rule)
    return plan


def _add_rule(plan: ReplyPlan, rule: AnyRule) -> None:
    """The page docs/reference/simulated-relay.md says which of several rules counts."""
    match rule:
        case faults.Latency():
            plan.latency = plan.latency or rule
        case faults.Hang():
            plan.hangs = True
        case faults.Reset():
            plan.reset = plan.reset or rule
        case faults.Drip():
            plan.drip = plan.drip or rule
        case faults.Close():
            plan.closes = True
        case faults.Stale():
            plan.shown_until = rule.since
        case faults.WrongClock():
            plan.clock_error += rule.offset
        case faults.Backlog():
            plan.backlog = max(plan.backlog, rule.count)
        case faults.Backwards():
            plan.backwards = rule.by
        case faults.Sentinel():
            plan.sentinel = rule
        case _:
            plan.body_fault = plan.body_fault or rule
