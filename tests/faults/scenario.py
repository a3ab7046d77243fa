"""Scenarios: strikes by a plan that a seed gives, and the runner that carries them out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from eagle_logger import wiring
from tests.faults import oracle
from tests.faults.fault_table import Row
from tests.faults.system_under_test import Setup, Trial
from workers.up.measured_run.summary import archive_open_hours

Act = Callable[[Trial], object]


def nothing(_: Trial) -> None:
    pass


def fetching(trial: Trial) -> float:
    """Wait until readings of every home are logged again; returns how many seconds that took."""
    return trial.await_flow()


def archiving(trial: Trial) -> float:
    """Wait for `fetching`, and then until complete hours are archived; returns the seconds."""
    began = time.monotonic()
    trial.await_flow()
    trial.await_archive()
    return time.monotonic() - began


@dataclass(frozen=True, slots=True)
class Strike:
    """After `calm` seconds `begin` is done, and `lasts` seconds later `end`. Then `flow` waits
    until the system works again."""

    what: str
    begin: Act
    end: Act = nothing
    lasts: float = 0.0
    calm: float = 2.0
    flow: Callable[[Trial], float] = fetching

    def __str__(self) -> str:
        lasting = f" for {self.lasts:.1f} s" if self.lasts else ""
        return f"{self.calm:4.1f} s of calm, then {self.what}{lasting}"


@dataclass(frozen=True, slots=True)
class Scenario:
    """`number` is that of the fault in the list of `docs/explanation/promises.md`. `ONLY=` selects
    by `name`."""

    name: str
    number: int
    what: str
    plan: Callable[[Random], Sequence[Strike]]
    setup: Setup = field(default_factory=Setup)
    short: bool = False
    """Whether `make test` runs it too."""
    further_findings: Callable[[Trial], Sequence[str]] = lambda _: ()
    """Checks of this scenario alone, made when everything has stopped. Empty if all is well."""
    remark: Callable[[Trial], str] | None = None
    """A figure of this run that the table shows beside `what`."""


def run(scenario: Scenario, seed: int, directory: Path) -> Row:
    """Carry it out. Raises AssertionError with all findings of the oracle."""
    strikes = list(scenario.plan(Random(f"{seed}/{scenario.name}")))
    print(f"\n{scenario.name}, seed {seed}:")
    print("\n".join(f"  {number}. {strike}" for number, strike in enumerate(strikes, 1)))
    took = [0.0]
    with Trial(directory, scenario.setup, seed=seed) as trial:
        trial.await_flow()
        trial.lateness()  # so that the next call does not count the start
        for number, strike in enumerate(strikes, 1):
            took.append(_carry_out(strike, trial))
            print(f"  {number}. back after {took[-1]:.1f} s", flush=True)
        trial.stop()
        print(f"  {trial.run(archive_open_hours(trial.settings))}")
        verdict, findings = oracle.examine(trial)
        findings += scenario.further_findings(trial)
    assert not findings, "\n".join(findings)
    remark = "" if scenario.remark is None else f"; {scenario.remark(trial)}"
    return Row(
        name=scenario.name,
        number=scenario.number,
        what=scenario.what + remark,
        strikes=len(strikes),
        readings=verdict.readings_archived,
        lost=verdict.lost,
        doubled=verdict.duplicated,
        unreturnable=verdict.unreturnable,
        back_after=max(took),
    )


def _carry_out(strike: Strike, trial: Trial) -> float:
    """Returns how many seconds it took until the system worked again."""
    time.sleep(strike.calm)
    strike.begin(trial)
    time.sleep(strike.lasts)
    strike.end(trial)
    took = strike.flow(trial)
    ahead = list(oracle.state_behind_files(trial, wiring.archive(trial.settings)))
    assert not ahead, "\n".join(ahead)
    return took
