"""What happened to the programs, from supervisor's own log: every start and every end, in order.

supervisor's API shows only the present, and its events carry neither the signal nor, for quick
deaths, the pid. Its log has both, and misses nothing.

This module reads a text that supervisor does not promise:

- **Which:** the lines "spawned", "exited", "stopped" and "gave up" of supervisord's log.
- **Why, and what it saves:** without them, `up` would miss a death between two calls of the API,
  and know the signal of none; a measured run could not name its causes.
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
_ENDS_AFTER_SIGTERM = {"exit status 0", "terminated by SIGTERM"}


@dataclass(frozen=True, slots=True)
class ProcessEvent:
    """`what`: one of the four words above. `at`: real Unix seconds. `status`: how the program
    ended, in supervisor's words."""

    what: str
    name: str
    at: float
    pid: int = 0
    status: str = ""


class ProcessLog:
    """Reads supervisor's log (written in UTC) line by line, and remembers which programs run."""

    def __init__(self) -> None:
        self.running: dict[str, int] = {}
        """The pid of every program that has started and not ended, by name."""

    def read(self, lines: Iterable[str]) -> Iterator[ProcessEvent]:
        for line in lines:
            event = self._parse_line(line)
            if event is not None:
                yield event

    def _parse_line(self, line: str) -> ProcessEvent | None:
        parts = _LINE.match(line)
        if parts is None:
            return None
        second, milliseconds, message = parts.groups()
        at = calendar.timegm(time.strptime(second, "%Y-%m-%d %H:%M:%S")) + int(milliseconds) / 1000
        if spawned := _SPAWNED.match(message):
            self.running[spawned[1]] = int(spawned[2])
            return ProcessEvent(STARTED, spawned[1], at, int(spawned[2]))
        if ended := _ENDED.match(message):
            pid = self.running.pop(ended[2], 0)
            # A program that was asked to stop and was killed instead has died.
            stopped = ended[1] == "stopped" and ended[3] in _ENDS_AFTER_SIGTERM
            return ProcessEvent(STOPPED if stopped else DIED, ended[2], at, pid, ended[3])
        if gave_up := _GAVE_UP.match(message):
            return ProcessEvent(GAVE_UP, gave_up[1], at)
        return None
