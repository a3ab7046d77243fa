"""From the command line to a session and its end."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue

from workers.up.console import Console
from workers.up.data_dir import last_sign_of_life, lock_data_dir
from workers.up.manager import LOG, Manager
from workers.up.measured_run.deaths import Deaths, record_unseen_deaths
from workers.up.measured_run.summary import Summary
from workers.up.preparation import prepare
from workers.up.session import Session
from workers.up.supervisor_log import DIED, ProcessEvent

Inbox = SimpleQueue[ProcessEvent | int]


def run(data_dir: Path, *, homes: int | None, seconds: float | None, as_json: bool) -> int:
    """The exit code. Raises EagleError for what keeps the system from running."""
    screen = Console(sys.stderr if as_json else sys.stdout)
    inbox: Inbox = SimpleQueue()
    with lock_data_dir(data_dir) as lock, _signals(inbox):
        deaths = Deaths(data_dir)
        for event in record_unseen_deaths(
            deaths, data_dir / "run" / LOG, last_sign_of_life(data_dir)
        ):
            screen.say(f"{event.name} (pid {event.pid}) had died: {event.status}")
        system = prepare(data_dir, homes)

        def on_event(event: ProcessEvent) -> None:
            if event.what == DIED:
                deaths.record(event)
            inbox.put(event)

        try:
            with Manager(
                system.programs, data_dir, system.environment, on_event, keep_open=[lock]
            ) as manager:
                session = Session(system, manager, screen, inbox, deaths)
                summary = session.run(seconds, measure=as_json or seconds is not None)
        finally:
            for event in _deaths_left(inbox):
                screen.death(event, ())
            deaths.write()
    if summary is None:
        return 0
    print_summary(summary, screen, as_json=as_json)
    return 0 if summary.is_well else 1


def print_summary(summary: Summary, screen: Console, *, as_json: bool) -> None:
    screen.header(
        f"{name.replace('_', ' '):18} {'-' if value is None else value}"
        for name, value in asdict(summary).items()
    )
    if as_json:
        print(json.dumps(asdict(summary)), flush=True)  # noqa: T201  (this line is what was asked for)


def _deaths_left(inbox: Inbox) -> Iterator[ProcessEvent]:
    """Those that nobody had the time to speak of any more."""
    while not inbox.empty():
        item = inbox.get()
        if isinstance(item, ProcessEvent) and item.what == DIED:
            yield item


@contextmanager
def _signals(inbox: Inbox) -> Iterator[None]:
    """While the system runs, Ctrl-C, SIGTERM and a closed terminal (but under nohup) ask for a
    graceful end."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {
        number: signal.signal(number, lambda number, _: inbox.put(number)) for number in numbers
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
