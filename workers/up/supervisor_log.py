"""What happened to the programs, as supervisor's own log tells it: every start and every end, in
order, none left out.

supervisor's API shows only the present, and its events carry neither the signal nor, for quick
deaths, the pid. Its log has both, and what happened while nobody was looking.

This module reads a text that supervisor does not promise:

- **Which:** the lines "spawned", "exited", "stopped" and "gave up" of supervisord's log.
- **Why, and what it saves:** without them, a death between two looks is missed, and no death has
  its signal; `up` would report fewer of them, and a measured run could not name its causes.
- **When it breaks:** pyproject.toml allows one minor version of supervisor, and
  `tests/canaries/test_supervisor_log.py` shows the words of the real one. Correct the patterns
  below. If there are no such lines any more, poll `getAllProcessInfo`.
"""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

STARTED = "started"
DIED = "died"
STOPPED = "stopped"
GAVE_UP = "gave up"

_LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d{3}) [A-Z]+ (.*)")
_SPAWNED = re.compile(r"spawned: '(\S+)' with pid (\d+)")
_ENDED = re.compile(r"(exited|stopped): (\S+) \((.*?)(?:; (?:not )?expected)?\)$")
_GAVE_UP = re.compile(r"gave up: (\S+) ")
_ASKED_FOR = {"exit status 0", "terminated by SIGTERM"}


@dataclass(frozen=True, slots=True)
class ProcessEvent:
    """Something that happened to a program. `at`: real Unix seconds; `status`: how it ended, in
    supervisor's words."""

    what: str
    name: str
    at: float
    pid: int = 0
    status: str = ""


class ProcessLog:
    """Reads supervisor's log (written in UTC), line by line; remembers which programs run."""

    def __init__(self) -> None:
        self.running: dict[str, int] = {}
        """Name → pid of every program that has started and not ended."""

    def read(self, lines: Iterable[str]) -> Iterator[ProcessEvent]:
        for line in lines:
            event = self._event(line)
            if event is not None:
                yield event

    def _event(self, line: str) -> ProcessEvent | None:
        whole = _LINE.match(line)
        if whole is None:
            return None
        at = calendar.timegm(time.strptime(whole[1], "%Y-%m-%d %H:%M:%S")) + int(whole[2]) / 1000
        message = whole[3]
        if spawned := _SPAWNED.match(message):
            self.running[spawned[1]] = int(spawned[2])
            return ProcessEvent(STARTED, spawned[1], at, int(spawned[2]))
        if ended := _ENDED.match(message):
            pid = self.running.pop(ended[2], 0)
            # A program that was told to stop and was killed instead (by whomever) died all the
            # same.
            calm = ended[1] == "stopped" and ended[3] in _ASKED_FOR
            return ProcessEvent(STOPPED if calm else DIED, ended[2], at, pid, ended[3])
        if gave_up := _GAVE_UP.match(message):
            return ProcessEvent(GAVE_UP, gave_up[1], at)
        return None
