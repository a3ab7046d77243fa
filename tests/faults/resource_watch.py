"""What the system uses during a trial: memory, open files, waiting messages, disk space."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import redis

from eagle_logger.broker_queues import ADHOC, DISPATCH, Broker, fetch_queues, rotate_queue
from eagle_logger.errors import RedisUnavailable

if TYPE_CHECKING:
    from tests.faults.system_under_test import Trial

PAUSE_S = 0.5


class Watch:
    """Measures twice a second in a thread, from `begin` to `end`, and keeps the largest values."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self.memory: defaultdict[str, int] = defaultdict(int)
        """Program → the most bytes."""
        self.descriptors: defaultdict[str, int] = defaultdict(int)
        self.waiting: defaultdict[str, int] = defaultdict(int)
        """Queue → the most messages that waited in it. "unacked" counts those that a worker had."""
        self.disk = 0

    def begin(self) -> None:
        self._over.clear()
        self._thread = threading.Thread(target=self._measure, name="watch", daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _measure(self) -> None:
        from eagle_logger import wiring

        settings = self._trial.settings
        queues = [
            DISPATCH,
            ADHOC,
            *fetch_queues(settings.fetch_queues),
            rotate_queue(wiring.node(settings)),
        ]
        with contextlib.closing(Broker(settings.broker_address)) as broker:
            while not self._over.wait(PAUSE_S):
                self._measure_processes()
                self._measure_disk()
                with contextlib.suppress(RedisUnavailable, redis.RedisError):
                    self._measure_queues(broker, queues)

    def _measure_processes(self) -> None:
        for program in self._trial.programs:
            pid = self._trial.manager.pid(program.name)
            with contextlib.suppress(OSError, ValueError):  # it may die at any moment
                pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
                open_now = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
                self.memory[program.name] = max(
                    self.memory[program.name], pages * os.sysconf("SC_PAGE_SIZE")
                )
                self.descriptors[program.name] = max(self.descriptors[program.name], open_now)

    def _measure_disk(self) -> None:
        used = 0
        for folder, _, names in os.walk(self._trial.settings.logs_dir):
            for name in names:
                with contextlib.suppress(OSError):
                    used += (Path(folder) / name).stat().st_size
        self.disk = max(self.disk, used)

    def _measure_queues(self, broker: Broker, queues: list[str]) -> None:
        for name, count in broker.waiting(queues).items():
            self.waiting[name] = max(self.waiting[name], count)
        self.waiting["unacked"] = max(self.waiting["unacked"], int(broker._redis.hlen("unacked")))
