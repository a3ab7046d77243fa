"""One run of the system: start it in order, watch over it, stop it in order."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from eagle_logger import wiring
from eagle_logger.broker_queues import ADHOC, DISPATCH, Broker, fetch_queues
from eagle_logger.errors import EagleError, RedisUnavailable
from eagle_logger.inspection.ledger_comparison import verified
from workers.up.console import Console, describe_system
from workers.up.data_dir import leave_sign_of_life
from workers.up.manager import Manager
from workers.up.measured_run.summary import (
    Summary,
    archive_open_hours,
    build_tables,
    complaints,
    summarise,
)
from workers.up.measured_run.throughput import ThroughputSample, flow_line, take_sample
from workers.up.preparation import System
from workers.up.program_watch import TICK_S, ProgramWatch, StopRequested
from workers.up.programs import REDIS, SIMULATOR, Stage
from workers.up.readiness import not_ready, silent_programs, still_missing
from workers.up.redis_server import await_redis
from workers.up.simulators import (
    SimulatorSetup,
    create_topic_and_queue,
    has_simulated_homes,
    read_homes,
    register_homes,
)

Result = TypeVar("Result")

_LINE_EVERY_S = 5.0
_REDIS_READS_ITS_FILES_WITHIN_S = 600.0
"""A private Redis may have to read a long append-only file."""
_REDIS_ANSWERS_WITHIN_S = 8.0
_READY_WITHIN_S = 180.0
_CAUGHT_UP_WITHIN_S = 15.0
_LAST_FETCHES_COUNTED_WITHIN_S = 4.0
"""From the moment when the last users were claimed until they are fetched, logged and counted."""


class Session:
    def __init__(
        self, system: System, manager: Manager, console: Console, watch: ProgramWatch
    ) -> None:
        self._simulators = system.simulators
        self._settings = system.settings
        self._manager = manager
        self._console = console
        self._watch = watch
        self._runner = asyncio.Runner()
        self._store = wiring.user_store(self._settings, passwords=system.simulators is not None)
        self._broker = Broker(self._settings.broker_address)

    def run(self, seconds: float | None, *, measure: bool) -> Summary | None:
        """Run until `seconds` have passed since every program was ready, or until a signal asks for
        the end.

        With `measure`, hours that are still open are archived at the end, and everything is
        compared with the simulator's ledger. Returns None if not, or if the end came before every
        program was ready. Raises StartupFailed, ManagerGone and other EagleErrors that keep the
        system from running.
        """
        with self._runner, contextlib.closing(self._broker):
            try:
                self._start_system()
                begin = self._watch_until_end(seconds)
            except StopRequested:
                begin = None
            summary = self._stop_system(begin if measure else None)
            self._await(self._store.close())
            return summary

    def _start_system(self) -> None:
        self._watch.write_given_up()
        if self._names_in(Stage.REDIS):
            self._console.say("starting Redis")
            self._manager.start([REDIS])
            self._await_private_redis()
        else:
            address, check = self._settings.redis_address, self._watch.check_still_wanted
            await_redis(address, _REDIS_ANSWERS_WITHIN_S, check)
        if self._simulators is not None:
            self._start_stand_ins(self._simulators)
        elif has_simulated_homes(self._settings.data_dir):
            self._console.say(
                "the users here are simulated homes, which no real relay knows: use --homes, "
                "or another --data"
            )
        self._console.say("starting the workers")
        since = self._await(self._store.fleet.now())
        is_behind = self._has_users_due_before(since)
        others = [
            program for program in self._watch.system.programs if program.stage > Stage.STAND_INS
        ]
        names = {program.name for program in others}
        self._manager.start(names)
        self._await_ready(names, since)
        if self._simulators is not None:
            # Homes registered before the workers are ready would be fetched late.
            homes = read_homes(self._simulators.users_file)
            if added := self._await(register_homes(self._store.users, homes)):
                self._console.say(f"{added} homes registered as users")
        if wiring.drain(self._settings).is_set():
            self._console.say(
                "this node is drained: nothing is fetched until `eagle-logger drain --undo`"
            )
        elif is_behind:
            self._catch_up()

    def _await_private_redis(self) -> None:
        """Wait for the private Redis. It may read a long file first; a line every few seconds says
        so."""
        last_line_at = time.monotonic()

        def check_and_report() -> None:
            nonlocal last_line_at
            self._watch.check_still_wanted()
            if time.monotonic() > last_line_at + _LINE_EVERY_S:
                last_line_at = time.monotonic()
                self._console.say("waiting for redis, which reads its files in the data directory")

        await_redis(self._settings.redis_address, _REDIS_READS_ITS_FILES_WITHIN_S, check_and_report)

    def _start_stand_ins(self, setup: SimulatorSetup) -> None:
        names = self._names_in(Stage.STAND_INS)
        self._console.say(f"starting the stand-ins for Rainforest ({setup.homes} homes) and Amazon")
        if not setup.with_aws:
            self._console.say(
                "SNS and SQS are left out: they need the packages of eagle-logger[stand-ins]"
            )
        self._manager.start(names)
        self._await_ready(names, 0.0)
        if setup.with_aws:
            create_topic_and_queue(self._settings)

    def _await_ready(self, names: set[str], since: float) -> None:
        """Wait until these programs are ready, which started at `since` (the user store's time)."""
        until = time.monotonic() + _READY_WITHIN_S
        next_line_at = time.monotonic() + _LINE_EVERY_S
        while missing := self._names_not_ready(names, since):
            if time.monotonic() > next_line_at:
                next_line_at += _LINE_EVERY_S
                self._console.say(still_missing(missing, len(names)))
            if time.monotonic() > until:
                for name in missing:
                    self._console.quote(self._manager.last_lines(name))
                raise EagleError(f"not ready within {_READY_WITHIN_S:g} s: {', '.join(missing)}")
            self._watch.attend_for(TICK_S)
            self._watch.check_still_wanted()

    def _names_not_ready(self, names: set[str], since: float) -> list[str]:
        programs = [program for program in self._watch.system.programs if program.name in names]
        try:
            progress = self._await(self._store.fleet.progress())
        except RedisUnavailable:
            return [REDIS]
        missing = not_ready(programs, progress, since, self._manager.running())
        return [name for name in missing if name not in self._watch.given_up]

    def _catch_up(self) -> None:
        """Fetch the users that fell due while nothing ran, before the clock of `--for` and of the
        summary starts. Otherwise the summary would blame this run for their lateness."""
        ready_at = self._await(self._store.fleet.now())
        until = time.monotonic() + _CAUGHT_UP_WITHIN_S
        self._console.say("catching up with what fell due meanwhile")
        while self._has_users_due_before(ready_at) and time.monotonic() < until:
            self._watch.attend_for(TICK_S)
            self._watch.check_still_wanted()
        self._watch.attend_for(_LAST_FETCHES_COUNTED_WITHIN_S)
        self._watch.check_still_wanted()

    def _has_users_due_before(self, moment: float) -> bool:
        """Whether a user that was due before this moment (the user store's time) still waits."""
        try:
            oldest = self._await(self._store.fleet.totals()).oldest_due
        except RedisUnavailable:
            return True
        return oldest is not None and oldest < moment

    def _watch_until_end(self, seconds: float | None) -> ThroughputSample:
        """Say every few seconds what the system does. Returns the sample of the moment when every
        program was ready."""
        begin = last = self._take_sample()
        show_password = self._console.is_terminal
        self._console.header(describe_system(self._watch.system, show_password=show_password))
        end = begin.at + seconds if seconds is not None else float("inf")
        while not self._watch.stop_requested and (left := end - time.monotonic()) > 0:
            self._watch.attend_for(min(_LINE_EVERY_S, left))
            try:
                now = self._take_sample()
                self._report_silent_programs()
            except RedisUnavailable as exc:
                self._console.say(str(exc))
            else:
                self._console.say(flow_line(last, now))
                last = now
        return begin

    def _report_silent_programs(self) -> None:
        """A process that lives and does nothing is as bad as a dead one, and supervisor does not
        notice it."""
        now = self._await(self._store.fleet.now())
        progress = self._await(self._store.fleet.progress())
        stretched = self._settings.clock.stretched
        for program in silent_programs(self._watch.system.programs, progress, now, stretched):
            if program.name not in self._watch.given_up:
                self._console.say(
                    f"{program.name}: no progress for {program.silent_after:g} s; "
                    f"look at what it wrote in run/log/{program.name}.log"
                )

    def _take_sample(self) -> ThroughputSample:
        queues = [DISPATCH, ADHOC, *fetch_queues(self._settings.fetch_queues)]
        is_drained = wiring.drain(self._settings).is_set()
        at = time.monotonic()
        return self._await(
            take_sample(self._store.fleet, self._broker, queues, at, is_drained=is_drained)
        )

    def _stop_system(self, begin: ThroughputSample | None) -> Summary | None:
        """Stop every program, in order. With a first sample, measure the run on the way."""
        self._watch.expect_the_end()
        for stage in (
            Stage.TRIGGERS,
            Stage.DISPATCHING,
            Stage.FETCHING,
            Stage.ROTATING,
            Stage.FLOWER,
        ):
            self._stop_programs(self._names_in(stage))
        summary = None if begin is None else self._measure_run(begin)
        self._stop_programs(self._names_in(Stage.STAND_INS))
        self._stop_programs(self._names_in(Stage.REDIS))
        self._console.say("stopped; start again on the same data directory to carry on")
        return summary

    def _measure_run(self, begin: ThroughputSample) -> Summary:
        end = self._take_sample()
        self._console.say("archiving what is still open")
        self._console.say(str(self._await(archive_open_hours(self._settings))))
        self._build_tables()
        if self._simulators is None:
            return summarise(begin, end, None)
        self._stop_programs([SIMULATOR])  # its ledger is complete once it has ended
        self._console.say("comparing the archive with the simulator's ledger")
        archive, ledger = wiring.archive(self._settings), str(self._simulators.ledger)
        verdict = verified(self._settings.data_dir, archive, ledger)
        self._console.quote(complaints(verdict))
        return summarise(begin, end, verdict)

    def _build_tables(self) -> None:
        """A day table that cannot be made spoils no measurement: the archive is whole."""
        try:
            built = build_tables(self._settings)
        except EagleError as exc:
            self._console.say(f"day tables: {exc}")
        else:
            if built is not None:
                self._console.say(f"day tables: {built}")

    def _stop_programs(self, names: Iterable[str]) -> None:
        wanted = set(names) & self._manager.running()
        if wanted:
            self._manager.stop(wanted, waiting=self._report_still_running)
        self._watch.handle_waiting_items()

    def _report_still_running(self, names: list[str]) -> None:
        self._watch.handle_waiting_items()
        leave_sign_of_life(self._settings.data_dir)
        self._console.say(f"waiting for {', '.join(names)} to finish")

    def _names_in(self, stage: Stage) -> set[str]:
        return {program.name for program in self._watch.system.programs if program.stage == stage}

    def _await(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine to its end. `up` itself is not asynchronous."""
        return self._runner.run(coroutine)
