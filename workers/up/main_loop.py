"""`eagle-logger up`, from the command line to the exit code."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from workers.up.console import Console
from workers.up.data_dir import last_sign_of_life, lock_data_dir
from workers.up.manager import SUPERVISORD_LOG, Manager
from workers.up.measured_run.deaths import Deaths, record_unseen_deaths
from workers.up.measured_run.summary import Summary
from workers.up.preparation import prepare
from workers.up.program_watch import Inbox, ProgramWatch
from workers.up.session import Session
from workers.up.supervisor_log import DIED, ProcessEvent


def run(data_dir: Path, *, homes: int | None, seconds: float | None, as_json: bool) -> int:
    """Returns the exit code. Raises EagleError if the system cannot run."""
    console = Console(sys.stderr if as_json else sys.stdout)
    inbox = Inbox()
    with lock_data_dir(data_dir) as lock, _signals_go_to(inbox):
        deaths = Deaths(data_dir)
        log = data_dir / "run" / SUPERVISORD_LOG
        for event in record_unseen_deaths(deaths, log, last_sign_of_life(data_dir)):
            console.say(f"{event.name} (pid {event.pid}) had died: {event.status}")
        system = prepare(data_dir, homes)

        def on_event(event: ProcessEvent) -> None:
            if event.what == DIED:
                deaths.record(event)
            inbox.put(event)

        try:
            with Manager(
                system.programs, data_dir, system.environment, on_event, keep_open=[lock]
            ) as manager:
                watch = ProgramWatch(system, manager, console, inbox, deaths)
                session = Session(system, manager, console, watch)
                summary = session.run(seconds, measure=as_json or seconds is not None)
        finally:
            for event in _take_deaths(inbox):
                console.report_death(event, ())
            deaths.write()
    if summary is None:
        return 0
    print_summary(summary, console, as_json=as_json)
    return 0 if summary.is_well else 1


def print_summary(summary: Summary, console: Console, *, as_json: bool) -> None:
    console.header(
        f"{name.replace('_', ' '):18} {'-' if value is None else value}"
        for name, value in asdict(summary).items()
    )
    if as_json:
        print(json.dumps(asdict(summary)), flush=True)  # noqa: T201  (the output of --json)


def _take_deaths(inbox: Inbox) -> Iterator[ProcessEvent]:
    """The deaths that came too late for the session to report them."""
    while not inbox.empty():
        item = inbox.get()
        if isinstance(item, ProcessEvent) and item.what == DIED:
            yield item


@contextmanager
def _signals_go_to(inbox: Inbox) -> Iterator[None]:
    """While the system runs, Ctrl-C, SIGTERM and a closed terminal (except under nohup) ask for a
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
