"""`make faults`: everything here, a few at once (they mostly wait), each in a pytest of its own;
then the table."""

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

HERE = Path(__file__).parent
OUTPUT = HERE.parents[1] / "build" / "faults"


@dataclass(frozen=True, slots=True)
class Done:
    test: str
    well: bool
    rows: tuple[Row, ...]


def main() -> int:
    parser = argparse.ArgumentParser(prog="make faults")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="as pytest's -k")
    parser.add_argument("--jobs", type=int, default=3)
    given = parser.parse_args()
    OUTPUT.mkdir(parents=True, exist_ok=True)
    tests = collected(given.only)
    print(
        f"{len(tests)} to run, {given.jobs} at once, seed {given.seed}; what they say is in {OUTPUT}",
        flush=True,
    )
    with ThreadPoolExecutor(given.jobs) as pool:
        done = list(pool.map(partial(run, seed=given.seed), tests))
    rows = [row for one in done for row in one.rows]
    failed = [one.test for one in done if not one.well]
    fault_table.write(rows, whole=not given.only and not failed)
    print(f"{len(done) - len(failed)} went well, {len(failed)} failed", *failed, sep="\n  ")
    return 1 if failed else 0


def collected(only: str) -> list[str]:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        str(HERE),
        *(["-k", only] if only else []),
    ]
    told = subprocess.run(command, env=_environment(0), capture_output=True, text=True, check=False)
    return [line for line in told.stdout.splitlines() if "::" in line]


def run(test: str, *, seed: int) -> Done:
    name = test.rpartition("::")[2].removeprefix("test_exactly_once[").rstrip("]").replace("/", "-")
    rows, began = OUTPUT / f"{name}.json", time.monotonic()
    rows.unlink(missing_ok=True)
    with (OUTPUT / f"{name}.log").open("wb") as log:
        command = [sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider", test]
        environment = {**_environment(seed), "FAULTS_ROWS": str(rows)}
        status = subprocess.run(
            command, env=environment, stdout=log, stderr=log, check=False
        ).returncode
    noted = tuple(Row(**row) for row in json.loads(rows.read_text())) if rows.exists() else ()
    print(
        f"{'well' if status == 0 else 'FAILED'} after {time.monotonic() - began:4.0f} s: {name}",
        flush=True,
    )
    return Done(test, status == 0, noted)


def _environment(seed: int) -> dict[str, str]:
    return {**os.environ, "FAULTS": "all", "FAULTS_SEED": str(seed)}


if __name__ == "__main__":
    sys.exit(main())
