"""The stand-ins of Rainforest's relay and of S3, as processes that no strike at the system
touches."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from tests.support.polling import wait_until
from workers.up.config import child_command
from workers.up.exec_with_parent import PARENT
from workers.up.programs import SIMULATOR, Program, stand_in_programs
from workers.up.readiness import answers
from workers.up.simulators import SimulatorSetup


class StandIns:
    """The stand-ins of a plan, started by the test itself. Their output is in the folder `logs`."""

    def __init__(
        self,
        plan: SimulatorSetup,
        logs: Path,
        environment: Mapping[str, str],
        *,
        seed: int,
        latency: float,
    ) -> None:
        self.plan = plan
        self._logs = logs
        self._environment = {**environment, PARENT: str(os.getpid())}
        self._programs = [_seeded(program, seed, latency) for program in stand_in_programs(plan)]
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.s3_spoils = False
        """Whether S3 ever had to store other bytes than it is sent."""

    def __enter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        for program in self._programs:
            with (self._logs / f"{program.name}.log").open("ab") as log:
                command = child_command("KILL", program.command)
                self._processes[program.name] = subprocess.Popen(
                    command, env=self._environment, stdout=log, stderr=log
                )
        wait_until(lambda: all(answers(program.answers_at or "") for program in self._programs))
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._processes):
            self.stop(name)

    def stop(self, name: str) -> None:
        """Let it end in good order, so that the simulator's ledger is complete."""
        process = self._processes.pop(name, None)
        if process is not None:
            process.terminate()
            process.wait(20)

    def stop_the_relay(self) -> None:
        self.stop(SIMULATOR)

    def relay_misbehaves(self, *rules: Mapping[str, Any], seed: int = 0) -> None:
        """Replace the relay's rules (see `eagle_logger.simulator.relay.faults`); without any it
        behaves well."""
        _put(f"{self.plan.relay_origin}/faults", {"seed": seed, "rules": rules})

    def s3_misbehaves(self, *rules: Mapping[str, Any]) -> None:
        """Replace S3's rules (see `eagle_logger.simulator.s3.faults`); without any it behaves
        well."""
        self.s3_spoils |= any(rule["fault"] == "corrupt" for rule in rules)
        _put(f"{self.plan.s3_url}/_faults", list(rules))

    def puts(self) -> list[dict[str, Any]]:
        """Every PUT that S3 has seen, in order."""
        return [
            json.loads(line)
            for line in (self.plan.s3_directory / "puts.jsonl").read_text().splitlines()
        ]

    def per_home(self) -> dict[str, dict[str, Any]]:
        """Cloud id → the relay's statistics of the requests for this home."""
        with urllib.request.urlopen(
            f"{self.plan.relay_origin}/stats?homes=all", timeout=30
        ) as reply:
            statistics: dict[str, dict[str, Any]] = json.load(reply)["per_home"]
        return statistics


def _seeded(program: Program, seed: int, latency: float) -> Program:
    if program.name != SIMULATOR:
        return program
    more = ["--seed", str(seed), "--latency", str(latency), "--latency-spread", str(latency / 4)]
    return replace(program, command=[*program.command, *more])


def _put(url: str, content: Any) -> None:
    request = urllib.request.Request(
        url, json.dumps(content).encode(), {"Content-Type": "application/json"}, method="PUT"
    )
    try:
        with urllib.request.urlopen(request, timeout=30):
            pass
    except urllib.error.HTTPError as exc:
        raise AssertionError(exc.read().decode()) from exc
