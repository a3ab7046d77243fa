"""Strikes by a plan that a seed gives, and what comes of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from eagle_logger import wiring
from tests.faults import oracle
from tests.faults.fault_table import Row
from tests.faults.system_under_test import Cast, Trial
from workers.up.measured_run.summary import rotate_what_is_open

Act = Callable[[Trial], None]


def nothing(_: Trial) -> None:
    pass


def fetching(trial: Trial) -> float:
    """What is back after most strikes: readings of every home are logged again."""
    return trial.await_flow()


def archiving(trial: Trial) -> float:
    """Both: readings are logged, and complete hours are archived."""
    began = time.monotonic()
    trial.await_flow()
    trial.await_archive()
    return time.monotonic() - began


@dataclass(frozen=True, slots=True)
class Strike:
    """After `calm` seconds `begin` is done, `lasts` seconds later `end`; then what `flow` waits for
    must come back."""

    words: str
    begin: Act
    end: Act = nothing
    lasts: float = 0.0
    calm: float = 2.0
    flow: Callable[[Trial], float] = fetching

    def __str__(self) -> str:
        lasting = f" for {self.lasts:.1f} s" if self.lasts else ""
        return f"{self.calm:4.1f} s of calm, then {self.words}{lasting}"


@dataclass(frozen=True, slots=True)
class Scenario:
    """`number` is the fault's in the list that `docs/explanation/promises.md` keeps; `name` is
    short, for `ONLY=`."""

    name: str
    number: int
    what: str
    plan: Callable[[Random], Sequence[Strike]]
    cast: Cast = field(default_factory=Cast)
    short: bool = False
    """Part of `make test`."""
    also: Callable[[Trial], Sequence[str]] = lambda _: ()
    """Findings of this scenario alone, when everything has stopped."""
    told: Callable[[Trial], str] | None = None
    """What the table is to tell beside the figures."""


def run(scenario: Scenario, seed: int, directory: Path) -> Row:
    """Carry it out; AssertionError with everything that the oracle found."""
    strikes = list(scenario.plan(Random(f"{seed}/{scenario.name}")))
    print(f"\n{scenario.name}, seed {seed}:")
    print("\n".join(f"  {number}. {strike}" for number, strike in enumerate(strikes, 1)))
    took = [0.0]
    with Trial(directory, scenario.cast, seed=seed) as trial:
        trial.await_flow()
        trial.lateness()  # what comes next is not to be told of the start
        for number, strike in enumerate(strikes, 1):
            took.append(_carry_out(strike, trial))
            print(f"  {number}. back after {took[-1]:.1f} s", flush=True)
        trial.stop()
        print(f"  {trial.run(rotate_what_is_open(trial.settings))}")
        verdict, findings = oracle.examine(trial)
        findings += scenario.also(trial)
    assert not findings, "\n".join(findings)
    return Row(
        name=scenario.name,
        number=scenario.number,
        what=scenario.what if scenario.told is None else f"{scenario.what}; {scenario.told(trial)}",
        strikes=len(strikes),
        readings=verdict.readings_archived,
        lost=verdict.lost,
        doubled=verdict.duplicated,
        unreturnable=verdict.unreturnable,
        back_after=max(took),
    )


def _carry_out(strike: Strike, trial: Trial) -> float:
    """How long it took until what the strike had stopped flowed again."""
    time.sleep(strike.calm)
    strike.begin(trial)
    time.sleep(strike.lasts)
    strike.end(trial)
    took = strike.flow(trial)
    ahead = list(oracle.state_behind_files(trial, wiring.archive(trial.settings)))
    assert not ahead, "\n".join(ahead)
    return took
