"""One run of the system: start it in order, watch over it, stop it in order."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Coroutine, Iterable
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from eagle_logger import wiring
from eagle_logger.broker_queues import ADHOC, DISPATCH, Broker, fetch_queues
from eagle_logger.errors import EagleError, RedisUnavailable
from eagle_logger.inspection.ledger_comparison import verified
from workers.up.console import Console, where_everything_is
from workers.up.data_dir import leave_sign_of_life, note_given_up
from workers.up.manager import Manager
from workers.up.measured_run.deaths import Deaths
from workers.up.measured_run.summary import Summary, archive_open_hours, complaints, summarise
from workers.up.measured_run.throughput import ThroughputSample, flow_line, take_sample
from workers.up.preparation import System, with_a_free_port
from workers.up.programs import AWS, REDIS, SIMULATOR, Stage
from workers.up.readiness import answers, not_ready, silent_programs, still_missing
from workers.up.redis_server import await_redis
from workers.up.restarts import Restarts
from workers.up.simulators import (
    create_topic_and_queue,
    has_simulated_homes,
    read_homes,
    register_homes,
)
from workers.up.supervisor_log import DIED, GAVE_UP, STARTED, ProcessEvent

Result = TypeVar("Result")

SECONDS_BETWEEN_LINES = 5.0
_TICK = 0.2
_READING_ITS_FILES = 600.0
"""Seconds that a private Redis may take to read a long append-only file."""
_ANSWERING = 8.0
_GETTING_READY = 180.0
_CATCHING_UP = 15.0
_LAST_OF_THEM = 4.0
"""Seconds until those who were handed out last have been fetched, logged and counted."""


class StartupFailed(EagleError):
    """A program keeps dying, so everything was stopped."""


class _StopAsked(Exception):
    """Somebody wants an end while the system is still starting."""


class Session:
    """`inbox` brings what happens: events of programs, and the numbers of the signals that ask us
    to stop."""

    def __init__(
        self,
        system: System,
        manager: Manager,
        screen: Console,
        inbox: SimpleQueue[ProcessEvent | int],
        deaths: Deaths,
    ) -> None:
        self._system = system
        self._settings = system.settings
        self._manager = manager
        self._screen = screen
        self._inbox = inbox
        self._deaths = deaths
        self._runner = asyncio.Runner()
        self._store = wiring.user_store(self._settings, passwords=system.plan is not None)
        self._broker = Broker(self._settings.broker_address)
        self._stop_asked = False
        self._closing = False
        self._aws_is_empty = False
        self._restarts = Restarts()

    def run(self, seconds: float | None, *, measure: bool) -> Summary | None:
        """Until `seconds` have passed since everything was ready, or until somebody wants it to
        end.

        With `measure`, what is still open is archived at the end and everything is compared with
        the ledger; the result is None if the end came before everything was ready. Raises StartupFailed,
        ManagerGone and what else keeps it from running.
        """
        with self._runner, contextlib.closing(self._broker):
            try:
                self._start()
                begin = self._watch(seconds)
            except _StopAsked:
                begin = None
            summary = self._close(begin if measure else None)
            self._run(self._store.close())
            return summary

    # Starting -----------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._note_given_up()
        if self._names(Stage.REDIS):
            self._screen.say("starting Redis")
            self._manager.start([REDIS])
            self._await_private_redis()
        else:
            await_redis(self._settings.redis_address, _ANSWERING, self._check)
        if self._system.plan is not None:
            self._start_stand_ins()
        elif has_simulated_homes(self._settings.data_dir):
            self._screen.say(
                "the users here are simulated homes, which no real relay knows: use --homes, or another --data"
            )
        self._screen.say("starting the workers")
        since = self._run(self._store.fleet.now())
        behind = self._is_behind(since)
        rest = [
            program.name for program in self._system.programs if program.stage > Stage.STAND_INS
        ]
        self._manager.start(rest)
        self._await(set(rest), since)
        if self._system.plan is not None:
            # Only now, so that nobody is late before there was anybody to be on time.
            added = self._run(
                register_homes(self._store.users, read_homes(self._system.plan.users_file))
            )
            if added:
                self._screen.say(f"{added} homes registered as users")
        if wiring.drain(self._settings).is_set():
            self._screen.say(
                "this node is drained: nothing is fetched until `eagle-logger drain --undo`"
            )
        elif behind:
            self._catch_up()

    def _await_private_redis(self) -> None:
        """Wait for the private Redis. It may read a long file first; a line reports that every few
        seconds."""
        last_line = time.monotonic()

        def check_and_report() -> None:
            nonlocal last_line
            self._check()
            if time.monotonic() > last_line + SECONDS_BETWEEN_LINES:
                last_line = time.monotonic()
                self._screen.say("waiting for redis, which reads its files in the data directory")

        await_redis(self._settings.redis_address, _READING_ITS_FILES, check_and_report)

    def _start_stand_ins(self) -> None:
        plan = self._system.plan
        assert plan is not None
        names = set(self._names(Stage.STAND_INS))
        self._screen.say(f"starting the stand-ins for Rainforest ({plan.homes} homes) and Amazon")
        if not plan.with_aws:
            self._screen.say(
                "SNS and SQS are left out: they need the packages of eagle-logger[stand-ins]"
            )
        self._manager.start(names)
        self._await(names, 0.0)
        if plan.with_aws:
            create_topic_and_queue(self._settings)

    def _await(self, names: set[str], since: float) -> None:
        until = time.monotonic() + _GETTING_READY
        told = time.monotonic() + SECONDS_BETWEEN_LINES
        while missing := self._not_ready(names, since):
            if time.monotonic() > told:
                told += SECONDS_BETWEEN_LINES
                self._screen.say(still_missing(missing, len(names)))
            if time.monotonic() > until:
                for name in missing:
                    self._screen.quote(self._manager.last_lines(name))
                raise EagleError(f"not ready within {_GETTING_READY:g} s: {', '.join(missing)}")
            self._attend(_TICK)
            self._check()

    def _catch_up(self) -> None:
        """Those who fell due while nothing ran are late through no fault of what runs now: they are
        fetched before the clock of `--for` and of the summary starts."""
        ready = self._run(self._store.fleet.now())
        until = time.monotonic() + _CATCHING_UP
        self._screen.say("catching up with what fell due meanwhile")
        while self._is_behind(ready) and time.monotonic() < until:
            self._attend(_TICK)
            self._check()
        self._attend(_LAST_OF_THEM)
        self._check()

    def _is_behind(self, moment: float) -> bool:
        """Whether somebody who was due before that moment (store's time) still waits."""
        try:
            oldest = self._run(self._store.fleet.totals()).oldest_due
        except RedisUnavailable:
            return True
        return oldest is not None and oldest < moment

    def _not_ready(self, names: set[str], since: float) -> list[str]:
        programs = [program for program in self._system.programs if program.name in names]
        try:
            missing = not_ready(
                programs, self._run(self._store.fleet.progress()), since, self._manager.running()
            )
        except RedisUnavailable:
            return [REDIS]
        return [name for name in missing if name not in self._restarts.troubled]

    # Watching -----------------------------------------------------------------------------------------------------------

    def _watch(self, seconds: float | None) -> ThroughputSample:
        """Say every few seconds what flows. Returns how it was when everything was ready."""
        begin = last = self._snapshot()
        self._screen.header(
            where_everything_is(self._system, show_password=self._screen.is_terminal)
        )
        end = begin.at + seconds if seconds is not None else float("inf")
        while not self._stop_asked and (left := end - time.monotonic()) > 0:
            self._attend(min(SECONDS_BETWEEN_LINES, left))
            try:
                now = self._snapshot()
                self._say_who_is_silent()
            except RedisUnavailable as exc:
                self._screen.say(str(exc))
            else:
                self._screen.say(flow_line(last, now))
                last = now
        return begin

    def _say_who_is_silent(self) -> None:
        """A process that lives and does nothing is as bad as a dead one, and supervisor cannot
        tell."""
        now, progress = self._run(self._store.fleet.now()), self._run(self._store.fleet.progress())
        for program in silent_programs(
            self._system.programs, progress, now, self._settings.clock.stretched
        ):
            if program.name not in self._restarts.troubled:
                self._screen.say(
                    f"{program.name}: no progress for {program.silent_after:g} s; "
                    f"look at what it wrote in run/log/{program.name}.log"
                )

    def _snapshot(self) -> ThroughputSample:
        queues = [DISPATCH, ADHOC, *fetch_queues(self._settings.fetch_queues)]
        is_drained = wiring.drain(self._settings).is_set()
        return self._run(
            take_sample(
                self._store.fleet, self._broker, queues, time.monotonic(), is_drained=is_drained
            )
        )

    def _attend(self, seconds: float) -> None:
        """Deal with what happens during that time; less if somebody wants us to stop."""
        until = time.monotonic() + seconds
        while not self._stop_asked and (left := until - time.monotonic()) > 0:
            with contextlib.suppress(Empty):
                self._handle(self._inbox.get(timeout=min(_TICK, left)))
            self._manager.running()  # also wakes supervisord, so that what died starts again at once
            leave_sign_of_life(self._settings.data_dir)
            self._deaths.write()
            self._refill_aws()
            self._start_again()

    def _check(self) -> None:
        """Deal with what has happened. Raises _StopAsked, StartupFailed, ManagerGone."""
        self._handle_all()
        self._manager.running()
        if self._stop_asked:
            raise _StopAsked

    def _handle_all(self) -> None:
        with contextlib.suppress(Empty):
            while True:
                self._handle(self._inbox.get_nowait())

    def _handle(self, item: ProcessEvent | int) -> None:
        if isinstance(item, int):
            self._screen.say(
                "already stopping; this may take a little" if self._stop_asked else "stopping"
            )
            self._stop_asked = True
        elif item.what == DIED and item.name not in self._restarts.troubled:
            self._screen.death(item, self._manager.last_lines(item.name))
        elif item.what == STARTED and item.name == AWS:
            self._aws_is_empty = True
        elif item.what == GAVE_UP and not self._closing:
            self._give_up(item.name)

    def _give_up(self, name: str) -> None:
        """Handle a program that supervisor gave up. If readings flow without it, report it once,
        and start it again ever more rarely; otherwise raise StartupFailed."""
        if any(program.is_essential for program in self._system.programs if program.name == name):
            raise StartupFailed(
                f"{name} died 5 times in a row within 5 s of its start, so everything was stopped"
            )
        if self._move_to_a_free_port(name):
            self._manager.start([name])
            return
        is_news = name not in self._restarts.troubled
        self._restarts.gave_up(name, time.monotonic())
        if is_news:
            self._screen.say(
                f"{name} keeps dying; the system goes on without it. It is started again ever more rarely, "
                f"at the latest every 5 minutes; look at what it wrote in run/log/{name}.log"
            )
            self._note_given_up()

    def _start_again(self) -> None:
        if self._closing:
            return
        for name in self._restarts.due(time.monotonic()):
            self._move_to_a_free_port(name)
            self._manager.start([name])
        for name in self._restarts.recovered(time.monotonic()):
            self._screen.say(f"{name} runs again")
            self._note_given_up()

    def _refill_aws(self) -> None:
        """The stand-in for SNS and SQS forgets everything when it dies."""
        plan = self._system.plan
        if not self._aws_is_empty or plan is None or not answers(f"{plan.aws_url}/moto-api/"):
            return
        with contextlib.suppress(BotoCoreError, ClientError):
            create_topic_and_queue(self._settings)
            self._aws_is_empty = False

    # Closing ------------------------------------------------------------------------------------------------------------

    def _close(self, begin: ThroughputSample | None) -> Summary | None:
        self._closing = self._stop_asked = True
        for stage in (
            Stage.TRIGGERS,
            Stage.DISPATCHING,
            Stage.FETCHING,
            Stage.ROTATING,
            Stage.FLOWER,
        ):
            self._stop(self._names(stage))
        summary = None if begin is None else self._measure(begin)
        self._stop(self._names(Stage.STAND_INS))
        self._stop(self._names(Stage.REDIS))
        self._screen.say("stopped; start again on the same data directory to carry on")
        return summary

    def _measure(self, begin: ThroughputSample) -> Summary:
        end = self._snapshot()
        self._screen.say("archiving what is still open")
        self._screen.say(str(self._run(archive_open_hours(self._settings))))
        if self._system.plan is None:
            return summarise(begin, end, None)
        self._stop([SIMULATOR])  # its ledger is complete once it has ended
        self._screen.say("comparing the archive with the simulator's ledger")
        verdict = verified(
            self._settings.data_dir, wiring.archive(self._settings), str(self._system.plan.ledger)
        )
        self._screen.quote(complaints(verdict))
        return summarise(begin, end, verdict)

    def _stop(self, names: Iterable[str]) -> None:
        wanted = set(names) & self._manager.running()
        if wanted:
            self._manager.stop(wanted, waiting=self._say_who_is_left)
        self._handle_all()

    def _say_who_is_left(self, names: list[str]) -> None:
        self._handle_all()
        leave_sign_of_life(self._settings.data_dir)
        self._screen.say(f"waiting for {', '.join(names)} to finish")

    # Small things -------------------------------------------------------------------------------------------------------

    def _names(self, stage: Stage) -> list[str]:
        return [program.name for program in self._system.programs if program.stage == stage]

    def _run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        return self._runner.run(coroutine)

    def _note_given_up(self) -> None:
        """Write the programs that keep dying down for `eagle-logger doctor`. A full disk may be why
        they die; it must not end the other programs."""
        with contextlib.suppress(OSError):
            note_given_up(self._settings.data_dir, self._restarts.troubled)

    def _move_to_a_free_port(self, name: str) -> bool:
        """Give the program another port if another program has taken its own. Returns whether it
        did: not if the disk is full, and takes no note of the port."""
        try:
            moved = with_a_free_port(self._system, name)
            if moved is None:
                return False
            system, program = moved
            self._manager.replace(program)
        except OSError:
            return False
        self._system = system
        address = (program.answers_at or "").rpartition("/")[0]
        self._screen.say(f"{name}: another program has taken its port; it listens at {address} now")
        return True
