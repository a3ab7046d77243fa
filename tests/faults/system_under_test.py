"""The system on trial: the programs that `eagle-logger up` starts, with the flags that ship, under
supervisor."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self, TypeVar

import redis

from eagle_logger import settings as settings_module
from eagle_logger import wiring
from eagle_logger.clock import Clock
from eagle_logger.core.redis_address import RedisAddress
from eagle_logger.errors import RedisUnavailable
from eagle_logger.settings import Settings
from eagle_logger.telemetry import late_percentile
from eagle_logger.users.store import StoredUser
from tests.acceptance.running import environment
from tests.faults.resource_watch import Watch
from tests.faults.stand_ins import StandIns
from tests.support import volumes
from tests.support.polling import wait_until
from tests.support.tcp_proxy import TcpProxy
from workers.up.data_dir import key_file, write_private_file
from workers.up.manager import SUPERVISORD_LOG, Manager
from workers.up.measured_run.deaths import DEATHS_FILE, Deaths, record_unseen_deaths
from workers.up.measured_run.throughput import growth
from workers.up.ports import free_port
from workers.up.programs import Program, Stage, system_programs
from workers.up.readiness import not_ready
from workers.up.redis_server import PrivateRedis, await_redis
from workers.up.servers import find_server
from workers.up.simulators import SimulatorSetup, read_homes, register_homes
from workers.up.supervisor_log import DIED, GAVE_UP, ProcessEvent

Result = TypeVar("Result")

BROKER = "broker"
"""The name of the Redis that holds only Celery's messages, with `own_broker`."""
STANDBY = "standby"
"""The name of the second Redis, with `standby`."""
GIVE_UP_AFTER_S = 120.0
"""For things that ought to take a few seconds."""
OLD = ("fetch-1", "rotator", "dispatcher")
_LEFT_OUT = frozenset({"bridge", "flower"})
"""No readings pass through these."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a trial starts. An hour of the system's clock passes in 3600 / `speed` seconds. The
    names of `settings` lack EAGLE_."""

    homes: int = 8
    speed: float = 120.0
    latency: float = 0.05
    fetchers: int = 2
    own_broker: bool = False
    """The broker is a second Redis without a file. After a kill it starts empty."""
    way_to_redis: bool = False
    """The system reaches Redis through a proxy, `Trial.way_to_redis`."""
    standby: bool = False
    """A second Redis, `Trial.replica`, is the first one's replica. The system reaches the primary
    through `way_to_redis`."""
    app: str = "workers.app"
    """The value of celery's `-A`."""
    twins: Sequence[str] = ()
    """Programs that run twice, the second as `<name>-2`."""
    old: Callable[[Path], Path] | None = None
    """Puts an old version of the system into a directory. The programs in `OLD` start as that
    version."""
    loses_index: bool = False
    """Log files are deleted before the index names their parts: by an old version, which writes no
    index, after more than a day in which none could be written, or by the scenario itself. The
    index is rebuilt at the end."""
    most_waiting: int = 300
    """The most messages that any queue, or all workers together, may hold at any time."""
    settings: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    """For all processes."""
    own_clocks: Sequence[str] = ()
    """Programs whose clocks `Trial.set_clock` sets. Needs libfaketime (Debian's package
    `faketime`)."""
    data_volume: str | None = None
    """The whole data directory is on a volume of this size, without the files of the stand-ins."""
    log_volume: str | None = None
    """The log files are on a volume of their own, of this size (`24m`)."""


_CADENCE = {
    "demand_interval": 240,
    "summation_interval": 480,
    "price_interval": 900,
    "message_interval": 3600,
}
"""Seconds of the system's clock. At 120 times the speed, every home is visited every two seconds.
"""
_HOURS = {"rotate_grace": 600, "local_retention": 7200}
_ROTATE_OPEN_EVERY = 5
"""Real seconds: so often that the rotator always has work, and that hours come in many parts."""


class Trial:
    """The running system and its stand-ins. Leaving the context ends all processes by force."""

    def __init__(self, directory: Path, setup: Setup, *, seed: int) -> None:
        self.data = directory / "data"
        self.data.mkdir()
        self.setup = setup
        self.deaths = Deaths(self.data)
        self.given_up: list[str] = []
        self.hostile: frozenset[str] = frozenset()
        """Homes whose gateways invent readings. Their archived readings are not compared with the
        ledger."""
        self.notes: dict[str, str] = {}
        """What a scenario keeps from one strike to a later one, or to its remark."""
        self._tally: Mapping[str, int] = {}
        self._stack = ExitStack()
        if setup.data_volume is not None:
            self._stack.enter_context(volumes.tmpfs(self.data, setup.data_volume))
            self._keep_stand_ins_elsewhere(directory)
        if setup.log_volume is not None:
            self._stack.enter_context(volumes.tmpfs(self.data / "logs", setup.log_volume))
        self._environment = {
            **environment(self.data),
            "NO_PROXY": "127.0.0.1,localhost",
            **setup.environment,
        }
        self._redis = PrivateRedis(self.data, None)
        self.direct_redis_url = self._redis.url
        self.primary = self._redis
        self.replica = self._standby() if setup.standby else self._redis
        self.way_to_redis = TcpProxy(self._redis.port, free_port())
        self.plan = SimulatorSetup.make(setup.homes, self.data, {}, with_aws=False)
        self.settings = self._write_settings()
        self.programs = self._programs()
        self._runner = asyncio.Runner()  # makes its loop when it is entered
        self.store = wiring.user_store(
            self.settings.model_copy(update={"redis_url": self.direct_redis_url}), passwords=True
        )
        self.stand_ins = StandIns(
            self.plan,
            self.data / "run" / "stand-ins",
            self._environment,
            seed=seed,
            latency=setup.latency,
        )
        self.manager = self._new_manager()
        self.watch = Watch(self)

    # Beginning and end ----------------------------------------------------------------------------

    def __enter__(self) -> Self:
        with self._stack:
            if self.setup.way_to_redis or self.setup.standby:
                self._stack.enter_context(self.way_to_redis)
            self._stack.enter_context(self._runner)
            self._stack.callback(lambda: self.run(self.store.close()))
            self._stack.enter_context(self.stand_ins)
            self.manager.__enter__()
            self._stack.callback(self._end_by_force)
            self._start()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.watch.end()
        self._stack.close()

    def stop(self) -> None:
        """Stop everything but Redis and S3, stage by stage, as `up` does. S3 behaves well from now
        on."""
        self.watch.end()
        self.deaths.write()  # those that a full disk did not take
        self.stand_ins.s3_misbehaves()
        for stage in (Stage.TRIGGERS, Stage.DISPATCHING, Stage.FETCHING, Stage.ROTATING):
            self.manager.stop([program.name for program in self.programs if program.stage == stage])
        self.stand_ins.stop_the_relay()

    def _keep_stand_ins_elsewhere(self, directory: Path) -> None:
        """The relay's ledger and S3's objects must not suffer from the system's full disk."""
        (self.data / "run").mkdir()
        for name in ("simulator", "s3", "run/stand-ins"):
            elsewhere = directory / name.replace("/", "-")
            elsewhere.mkdir()
            (self.data / name).symlink_to(elsewhere)

    def _start(self) -> None:
        self._start_stores()
        self.run(register_homes(self.store.users, read_homes(self.plan.users_file)))
        self.start_the_rest()

    def _start_stores(self) -> None:
        stores = self.names(Stage.REDIS)
        self.manager.start(stores)
        await_redis(RedisAddress.parse(self._redis.url), GIVE_UP_AFTER_S)
        if self.setup.standby:
            await_redis(RedisAddress.parse(self.replica.url), GIVE_UP_AFTER_S)
            with redis.Redis.from_url(self.replica.url) as client:
                client.config_set("masterauth", self.redis_password)
                client.replicaof("127.0.0.1", self._redis.port)

    def start_the_rest(self) -> None:
        """Start everything but Redis, and wait until each program has shown that it works."""
        rest = [program for program in self.programs if program.stage > Stage.STAND_INS]
        since = self.run(self.store.fleet.now())
        self.manager.start(program.name for program in rest)
        self.until(
            lambda: (
                not not_ready(
                    rest, self.run(self.store.fleet.progress()), since, self.manager.running()
                )
            )
        )
        self.watch.begin()

    def _end_by_force(self) -> None:
        if self.manager.is_alive:
            self._kill_supervisor()
        self.manager.__exit__()

    # What can be done to it -----------------------------------------------------------------------

    @property
    def environment(self) -> Mapping[str, str]:
        """That of the system's programs."""
        return self._environment

    def kill(self, name: str) -> None:
        """kill -9; supervisor starts it again."""
        self.signal(name, signal.SIGKILL)

    def signal(self, name: str, number: int) -> None:
        self.until(lambda: self.manager.pid(name) != 0)
        os.kill(self.manager.pid(name), number)

    def set_clock(self, name: str, ahead: float) -> None:
        """Set this program's clock so many seconds ahead of the machine's. Its steady clock goes
        on."""
        file = self._clock_file(name)
        new = file.with_suffix(".new")
        new.write_text(f"{ahead:+.3f}\n")
        new.replace(file)

    def kill_everything(self) -> None:
        """Kill the whole system at once, Redis included, as when its container is killed. It stays
        down."""
        self.watch.end()
        self._kill_supervisor()
        self.manager.__exit__()
        wait_until(lambda: not any(_is_alive(pid) for pid in self._pids))

    def start_again(self) -> None:
        self.manager = self._new_manager()
        self.manager.__enter__()
        self._start_stores()
        self.start_the_rest()

    def _kill_supervisor(self) -> None:
        self._pids = [pid for program in self.programs if (pid := self.manager.pid(program.name))]
        process = self.manager._process
        assert process is not None
        process.kill()
        process.wait()

    # Observation ----------------------------------------------------------------------------------

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        return self._runner.run(coroutine)

    def names(self, *stages: Stage) -> list[str]:
        return [program.name for program in self.programs if program.stage in stages]

    def deaths_so_far(self) -> int:
        path = self.data / DEATHS_FILE
        return len(path.read_bytes().splitlines()) if path.exists() else 0

    def lateness(self) -> str:
        """The lateness of the visits since the last call, as text."""
        now = self.run(self.store.fleet.tally())
        more, self._tally = growth(self._tally, now), now
        shares = [late_percentile(more, share) for share in (0.5, 0.99)]
        return (
            " / ".join("?" if share is None else f"{share:g}" for share in shares)
            + " s (p50 / p99)"
        )

    def everybody(self) -> list[StoredUser]:
        """Raises RedisUnavailable."""

        async def gather() -> list[StoredUser]:
            return [user async for batch in self.store.users.all() for user in batch]

        return self.run(gather())

    def until(self, condition: Callable[[], bool], patience: float = GIVE_UP_AFTER_S) -> None:
        """Wait until the condition holds. Supervisor restarts what dies meanwhile, and a Redis that
        is away counts as "not yet"."""

        def holds() -> bool:
            self.manager.running()
            assert not self.given_up, f"supervisor gave up on {self.given_up}"
            try:
                return condition()
            except RedisUnavailable:
                return False

        wait_until(holds, patience)

    def await_flow(self) -> float:
        """Wait until a reading of every home that arrives after now is logged. Returns the seconds
        that took."""
        began, since = time.monotonic(), self.settings.clock.now()
        self.until(lambda: not self.homes_without_reading(since))
        return time.monotonic() - began

    def await_archive(self) -> float:
        """Wait until every hour that is complete now is archived, and at least one object. Returns
        the seconds that took."""
        began, now = time.monotonic(), self.settings.clock.now()
        folder, complete = wiring.log_folder(self.settings), now - self.settings.rotate_grace
        before = len(self.stand_ins.puts())
        self.until(lambda: len(self.stand_ins.puts()) > before)
        self.until(
            lambda: (
                not any(folder.unarchived(hour) for hour in folder.hours() if hour.end <= complete)
            )
        )
        return time.monotonic() - began

    def homes_without_reading(self, since: float) -> list[str]:
        """Homes that are not parked and of which no reading has arrived since this time."""
        return [
            one.user.cloud_id
            for one in self.everybody()
            if one.state.parked is None
            and (one.state.last_arrival is None or one.state.last_arrival <= since)
        ]

    # Settings and programs ------------------------------------------------------------------------

    def _write_settings(self) -> Settings:
        services: dict[str, Any] = {
            **{name: f"{seconds}" for name, seconds in (_CADENCE | _HOURS).items()},
            **self.plan.services(),
            "redis_url": self._redis_url(),
            "rotate_open_every": str(_ROTATE_OPEN_EVERY),
            "secret_keys_file": str(key_file(self.data)),
            "fetch_workers": str(self.setup.fetchers),
            "rotate_workers": "1",
            "log_format": "json",
            "min_free_disk": "0",
            "test_clock": str(Clock(time.time(), self.setup.speed)),
            **(
                {"broker_url": f"redis://127.0.0.1:{free_port()}/0"}
                if self.setup.own_broker
                else {}
            ),
            **self.setup.settings,
        }
        settings_module.write_services(self.data, services)
        return settings_module.load(self.data)

    def _redis_url(self) -> str:
        port = (
            self.way_to_redis.port
            if self.setup.way_to_redis or self.setup.standby
            else self._redis.port
        )
        return self._redis.url.replace(f":{self._redis.port}/", f":{port}/")

    def _programs(self) -> list[Program]:
        system = system_programs(self.settings, wiring.node(self.settings))
        system = [self._with_app(program) for program in system if program.name not in _LEFT_OUT]
        twins = [_twin(program) for program in system if program.name in self.setup.twins]
        standby = [replace(self.replica.program, name=STANDBY)] if self.setup.standby else []
        system = list(self._with_old_version(system))
        programs = [self._redis.program, *standby, *self._own_broker(), *system, *twins]
        return [
            self._with_own_clock(program) if program.name in self.setup.own_clocks else program
            for program in programs
        ]

    def _with_own_clock(self, program: Program) -> Program:
        self.set_clock(program.name, 0)
        preloaded = {
            "LD_PRELOAD": libfaketime(),
            "FAKETIME_TIMESTAMP_FILE": str(self._clock_file(program.name)),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }
        return replace(program, environment={**program.environment, **preloaded})

    def _clock_file(self, name: str) -> Path:
        return self.data.parent / f"{name}.clock"

    def _standby(self) -> PrivateRedis:
        directory = self.data / STANDBY
        (directory / "redis").mkdir(parents=True)
        write_private_file(directory / "redis" / "password", self.redis_password)
        return PrivateRedis(directory, None)

    @property
    def redis_password(self) -> str:
        """The password of the first Redis and of the second."""
        return (self.data / "redis" / "password").read_text().strip()

    def _with_app(self, program: Program) -> Program:
        return replace(
            program,
            command=[self.setup.app if word == "workers.app" else word for word in program.command],
        )

    def _with_old_version(self, programs: Iterable[Program]) -> Iterator[Program]:
        old = {}
        if self.setup.old is not None:
            old = {"PYTHONPATH": str(self.setup.old(self.data.parent / "old"))}
        for program in programs:
            yield replace(program, environment=old if program.name in OLD else {})

    def _own_broker(self) -> Iterator[Program]:
        if self.setup.own_broker:
            port = self.settings.broker.rpartition(":")[2].partition("/")[0]
            options = ["--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
            yield Program(
                BROKER,
                [find_server().path, *options, "--maxmemory-policy", "noeviction"],
                Stage.REDIS,
            )

    def _new_manager(self) -> Manager:
        for event in record_unseen_deaths(
            self.deaths, self.data / "run" / SUPERVISORD_LOG, time.time()
        ):
            print(f"{event.name} had died: {event.status}", file=sys.stderr)
        return Manager(self.programs, self.data, self._environment, self._on_event)

    def _on_event(self, event: ProcessEvent) -> None:
        if event.what == DIED:
            self.deaths.record(event)
        elif event.what == GAVE_UP:
            self.given_up.append(event.name)


def libfaketime() -> str:
    """The path of libfaketime. Raises AssertionError if there is none."""
    libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    assert libraries, "the faults of clocks need libfaketime: apt-get install faketime"
    return str(libraries[0])


def _twin(program: Program) -> Program:
    name = f"{program.name}-2"
    command = [word.replace(f"{program.name}@", f"{name}@") for word in program.command]
    reports_as = name if program.reports_as == program.name else program.reports_as
    return replace(program, name=name, command=command, reports_as=reports_as)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
