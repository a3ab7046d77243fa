"""What `up` does about a program that died, with a manager that only notes what it is asked."""

from __future__ import annotations

import io
import os
import socket
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any, cast

import pytest

from workers.up.console import Console
from workers.up.manager import Manager
from workers.up.preparation import System, prepare
from workers.up.program_watch import ProgramWatch
from workers.up.programs import FLOWER, Program
from workers.up.supervisor_log import DIED, ProcessEvent

IN_USE = "OSError: [Errno 98] Address already in use"


class NotingManager:
    def __init__(self, last_line: str) -> None:
        self.asked: list[str] = []
        self._last_line = last_line

    def last_lines(self, name: str) -> list[str]:
        return [f"{name} starts", self._last_line]

    def stop(self, names: Iterable[str]) -> None:
        self.asked += [f"stop {name}" for name in names]

    def replace(self, program: Program) -> None:
        self.asked.append(f"replace {program.name}")

    def start(self, names: Iterable[str]) -> None:
        self.asked += [f"start {name}" for name in names]


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    for name in [name for name in os.environ if name.startswith("EAGLE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NO_PROXY", "example.org")
    return prepare(tmp_path, None)


@pytest.fixture
def taken_port(system: System) -> Iterator[int]:
    port = system.settings.flower_port
    with socket.create_server(("127.0.0.1", port)):
        yield port


def after_flowers_death(system: System, last_line: str) -> tuple[System, list[str]]:
    manager, inbox = NotingManager(last_line), SimpleQueue[ProcessEvent | int]()
    watch = ProgramWatch(
        system, cast(Manager, manager), Console(io.StringIO()), inbox, cast(Any, None)
    )
    inbox.put(ProcessEvent(DIED, FLOWER, time.time(), 4711, "exit status 1"))
    watch.handle_waiting_items()
    return watch.system, manager.asked


def test_a_program_leaves_a_taken_port_at_its_first_death(system: System, taken_port: int) -> None:
    moved, asked = after_flowers_death(system, IN_USE)
    assert asked == ["stop flower", "replace flower", "start flower"]
    assert moved.settings.flower_port not in {0, taken_port}


def test_a_program_that_died_of_something_else_keeps_its_port(
    system: System, taken_port: int
) -> None:
    moved, asked = after_flowers_death(system, "MemoryError")
    assert (moved.settings.flower_port, asked) == (taken_port, [])


def test_a_program_whose_port_is_free_again_keeps_it(system: System) -> None:
    moved, asked = after_flowers_death(system, IN_USE)
    assert (moved.settings.flower_port, asked) == (system.settings.flower_port, [])
