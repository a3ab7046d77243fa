"""`make faults` runs every test here, each in its own pytest, and writes the table of faults.

A few tests run at once, because they wait most of the time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.faults import fault_table
from tests.faults.fault_table import Row
from tests.support.programs import run_to_end

HERE = Path(__file__).parent
OUTPUT = HERE.parents[1] / "build" / "faults"


@dataclass(frozen=True, slots=True)
class Finished:
    test: str
    passed: bool
    rows: tuple[Row, ...]


def main() -> int:
    parser = argparse.ArgumentParser(prog="make faults")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="as pytest's -k")
    parser.add_argument("--jobs", type=int, default=3)
    options = parser.parse_args()
    OUTPUT.mkdir(parents=True, exist_ok=True)
    tests = collect_tests(options.only)
    if not tests:
        parser.error("there is no such test, or collecting them failed")
    print(
        f"{len(tests)} to run, {options.jobs} at once, seed {options.seed}; output in {OUTPUT}",
        flush=True,
    )
    with ThreadPoolExecutor(options.jobs) as pool:
        finished = list(pool.map(partial(run, seed=options.seed), tests))
    rows = [row for one in finished for row in one.rows]
    failed = [one.test for one in finished if not one.passed]
    fault_table.write(rows, whole=not options.only and not failed)
    print(f"{len(finished) - len(failed)} passed, {len(failed)} failed", *failed, sep="\n  ")
    return 1 if failed else 0


def collect_tests(only: str) -> list[str]:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", str(HERE)]
    listing = run_to_end([*command, *(["-k", only] if only else [])], env=_environment(0))
    return [line for line in listing.stdout.splitlines() if "::" in line]


def run(test: str, *, seed: int) -> Finished:
    name = test.rpartition("[")[2].rstrip("]") if "test_scenarios" in test else test
    name = name.rpartition("::")[2].replace("/", "-")
    rows, began = OUTPUT / f"{name}.json", time.monotonic()
    rows.unlink(missing_ok=True)
    with (OUTPUT / f"{name}.log").open("wb") as log:
        command = [sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider", test]
        environment = {**_environment(seed), "FAULTS_ROWS": str(rows)}
        status = subprocess.run(
            command, env=environment, stdout=log, stderr=log, check=False
        ).returncode
    written = tuple(Row(**row) for row in json.loads(rows.read_text())) if rows.exists() else ()
    print(
        f"{'passed' if status == 0 else 'FAILED'} after {time.monotonic() - began:4.0f} s: {name}",
        flush=True,
    )
    return Finished(test, status == 0, written)


def _environment(seed: int) -> dict[str, str]:
    return {**os.environ, "FAULTS": "all", "FAULTS_SEED": str(seed)}


if __name__ == "__main__":
    sys.exit(main())
