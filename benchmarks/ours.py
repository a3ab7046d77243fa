"""Our whole system: beat, dispatcher, fetching workers, rotator and Redis, as `eagle-logger up`
starts them."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from benchmarks import proc
from benchmarks.figures import Row, grown, lateness, threads_by_role
from benchmarks.measuring import measure
from benchmarks.rotating import write_backlog
from benchmarks.stage import BUCKET, Failed, Processes, Relay, Stage, run, start_redis, start_s3
from eagle_logger import settings as settings_module
from eagle_logger import wiring
from eagle_logger.core.kinds import Kind
from eagle_logger.core.users import Credentials, User, UserState
from eagle_logger.settings import Settings
from eagle_logger.users.cipher import new_key
from eagle_logger.users.store import StoredUser, UserStore
from tests.support.set_membership import breaches

Answer = TypeVar("Answer")

RHYTHMS_FOUND_WITHIN_S = 150.0
"""A dozen readings."""
PERIODS_TO_SETTLE = 5
_BATCH = 500


class System:
    """All of it but the relay, in its own directory."""

    def __init__(
        self, processes: Processes, relay_url: str, *, workers: int, **settings: str
    ) -> None:
        self.processes = processes
        self.redis = start_redis(processes)
        self.data = processes.directory / "data"
        self.data.mkdir()
        self.environment = {
            "EAGLE_DATA_DIR": str(self.data),
            "EAGLE_REDIS_URL": self.redis.url(),
            "EAGLE_RELAY_URL": relay_url,
            "EAGLE_SECRET_KEYS": new_key(),
            "EAGLE_LOG_FORMAT": "json",
            "EAGLE_IN_STEP": "off",  # every home is asked every six seconds
            **settings,
        }
        self.fetching = [f"fetch-{number}" for number in range(1, workers + 1)]

    @property
    def settings(self) -> Settings:
        values = {
            name.removeprefix("EAGLE_").lower(): value for name, value in self.environment.items()
        }
        return settings_module.load(Path(values.pop("data_dir")), **values)

    def start(self) -> None:
        """Start all processes, and wait until each has reported to Redis."""
        node = wiring.node(self.settings)
        self._worker("dispatcher", "dispatch,adhoc", 8)
        for name in self.fetching:
            self._worker(name, "fetch.0", self.settings.fetch_threads)
        self._worker("rotator", f"rotate.{node}", 4)
        beat = ["beat", "-s", str(self.data / "beat"), "--pidfile="]
        self.processes.start("beat", [*_celery(), *beat], self.environment)
        expected = {"dispatcher", "rotator", "dispatch", *self.fetching}
        self.processes.wait_until(
            "the workers", lambda: expected <= set(self.ask(lambda store: store.fleet.progress()))
        )

    def _worker(self, name: str, queues: str, threads: int) -> None:
        command = [*_celery(), "worker", "-n", f"{name}@%h", "-Q", queues]
        command += ["-P", "threads", "-c", str(threads)]
        self.processes.start(name, command, {**self.environment, "EAGLE_PROCESS_NAME": name})

    def seed(self, accounts: list[dict[str, Any]]) -> None:
        """Put these users into Redis as if they had been fetched for long, so that their rarer
        kinds of readings are not all due at once."""
        asyncio.run(_seed(self.settings, accounts))

    def rotate(self) -> None:
        """Let the rotator archive the complete hours."""
        run([*_celery(), "call", "rotate", "--queue", "dispatch"], self.environment)

    def archived(self) -> int:
        """The number of objects in the stand-in for S3."""
        return sum(1 for _ in (self.processes.directory / "s3").rglob("cloud_id=*/*/*.jsonl.gz"))

    def ask(self, question: Callable[[UserStore], Awaitable[Answer]]) -> Answer:
        return asyncio.run(_ask(self.settings, question))

    def tally(self) -> dict[str, int]:
        return self.ask(lambda store: store.fleet.tally())

    def contenders(self) -> dict[str, int]:
        return self.processes.ids("dispatcher", *self.fetching, "rotator", "beat")


def ours(
    stage: Stage,
    relay: Relay,
    name: str,
    *,
    homes: int,
    seconds: float,
    workers: int,
    profile: str | None = None,
    backlog: int = 0,
    in_step: bool = False,
) -> Row:
    """Measure our system once every home has had its turn, and five periods later.

    `profile` is the path of a py-spy to record with. `backlog` user-hours wait to be archived when
    measuring begins; it then ends when all of them are archived, or after `seconds`. `in_step`:
    homes are asked in step with their meters, whose rhythms are found first.
    """
    with stage.processes("ours") as processes:
        settings = {"EAGLE_IN_STEP": "on" if in_step else "off"}
        settings |= {"EAGLE_RELAY_CA": str(relay.ca)} if relay.ca else {}
        if backlog:
            settings |= {**start_s3(processes), "EAGLE_ARCHIVE_URL": f"s3://{BUCKET}/bench"}
        system = System(processes, relay.post_url, workers=workers, **settings)
        system.start()
        empty = system.redis.info()["used_memory"]
        system.seed(relay.accounts(homes))
        _settle(system, homes)
        if in_step:
            time.sleep(RHYTHMS_FOUND_WITHIN_S)
        if backlog:
            write_backlog(system.data, backlog)
            time.sleep(system.settings.intervals[Kind.DEMAND])
        row = measure(
            name,
            processes,
            system.contenders(),
            relay,
            seconds=seconds,
            redis_server=system.redis,
            more=lambda: _counters(system),
            watch=lambda: _sample(system),
            begin=system.rotate if backlog else lambda: None,
            is_over=lambda: bool(backlog) and system.tally().get("uploads_done", 0) >= backlog,
            explain=lambda before, after, passed: _explain(before, after, passed, homes, empty),
        )
        if profile:
            _record(system, profile, seconds, stage.directory.parent / f"profile-{homes}.txt")
        if wrong := system.ask(lambda store: breaches(store.users)):
            raise Failed(f"users in neither set or in both: {wrong[:3]}")
        return row


def _settle(system: System, homes: int) -> None:
    period = system.settings.intervals[Kind.DEMAND]
    until = time.monotonic() + 5 * period
    while system.tally().get("fetches", 0) < homes and time.monotonic() < until:
        system.processes.check()
        time.sleep(0.5)
    time.sleep(PERIODS_TO_SETTLE * period)


def _counters(system: System) -> dict[str, Any]:
    """Everything that only grows, and the size of Redis."""
    messages = users = 0
    for name in system.fetching:
        with system.processes.log(name).open("rb") as lines:
            for line in lines:
                if b'"event": "fetch"' in line:
                    messages += 1
                    users += json.loads(line)["users"]
    threads = {pid: proc.threads(pid) for pid in system.processes.ids(*system.fetching).values()}
    counts = {"messages": messages, "users": users, "archived": system.archived()}
    return {**counts, "tally": system.tally(), "info": system.redis.info(), "threads": threads}


def _sample(system: System) -> dict[str, Any]:
    """A sample that is taken again and again, to draw lateness and memory over time."""
    tally = system.tally()
    late = {name: count for name, count in tally.items() if name.startswith("late_")}
    memory = proc.use(system.contenders()).memory
    return {
        **{name: tally.get(name, 0) for name in ("fetches", "missed_turns", "failed_fetches")},
        "late": late,
        "memory": memory,
        "redis": system.redis.info()["used_memory"],
    }


def _explain(
    before: Mapping[str, Any], after: Mapping[str, Any], seconds: float, homes: int, empty: int
) -> Mapping[str, Any]:
    more = grown(before["tally"], after["tally"])
    info, former = after["info"], before["info"]
    messages, fetches = after["messages"] - before["messages"], more.get("fetches", 0)
    return {
        "homes": homes,
        "measured_s": round(seconds, 1),
        "visits": fetches,
        **lateness(more),
        "missed_turns": more.get("missed_turns", 0),
        "homes_on_time": _on_time(homes, fetches, more.get("missed_turns", 0)),
        "failed_fetches": more.get("failed_fetches", 0),
        "failures": {name: count for name, count in more.items() if name.startswith("failed_")},
        "readings_logged": more.get("readings_logged", 0),
        "requests_per_reading": ratio(more.get("polls", 0), more.get("readings_polled", 0)),
        "reading_age": ratio(more.get("reading_age_ms", 0) / 1000, more.get("readings_timed", 0)),
        "in_step": ratio(more.get("visits_in_step", 0), fetches),
        "messages_per_second": round(messages / seconds, 2),
        "users_per_message": round((after["users"] - before["users"]) / messages, 1)
        if messages
        else None,
        "commits_per_second": round(more.get("log_commits", 0) / seconds, 1),
        "bytes_per_second": round(more.get("bytes_logged", 0) / seconds),
        "archived": after["archived"] - before["archived"],
        "archived_per_second": round((after["archived"] - before["archived"]) / seconds, 1),
        "redis_bytes": info["used_memory"],
        "redis_bytes_per_user": round((info["used_memory"] - empty) / homes),
        "redis_commands_per_second": round(
            (info["total_commands_processed"] - former["total_commands_processed"]) / seconds, 1
        ),
        "cpu_by_thread": {
            str(pid): threads_by_role(pid, before["threads"][pid], threads)
            for pid, threads in after["threads"].items()
        },
        "lateness_counters": {
            name: count for name, count in more.items() if name.startswith("late_")
        },
    }


def ratio(number: float, of: float) -> float | None:
    return round(number / of, 3) if of else None


def _on_time(homes: int, fetches: int, missed_turns: int) -> int | None:
    """How many of these homes the machine fetches on time: all but the share of missed turns."""
    turns = fetches + missed_turns
    return round(homes * fetches / turns) if turns else None


def _record(system: System, py_spy: str, seconds: float, target: Path) -> None:
    """Record the first fetching worker under the same load, after the measurement. The profile has
    one collapsed stack a line."""
    pid = system.processes.ids()[system.fetching[0]]
    command = [py_spy, "record", "--pid", str(pid), "--duration", str(int(seconds))]
    command += ["--rate", "200", "--format", "raw", "--nonblocking", "--threads"]
    run([*command, "--output", str(target)], {})


async def _ask(settings: Settings, question: Callable[[UserStore], Awaitable[Answer]]) -> Answer:
    store = wiring.user_store(settings, passwords=False)
    try:
        return await question(store)
    finally:
        await store.close()


async def _seed(settings: Settings, accounts: list[dict[str, Any]]) -> None:
    store, cipher, now = (
        wiring.user_store(settings, passwords=True),
        wiring.cipher(settings),
        time.time(),
    )
    state = UserState(asked=dict.fromkeys(Kind, now))
    users = [
        StoredUser(
            User(one["cloud_id"]),
            cipher.seal(Credentials(one["cloud_id"], one["user_email"], one["user_pw"])),
            state,
            due=None,
            lease_ends=None,
        )
        for one in accounts
    ]
    try:
        for start in range(0, len(users), _BATCH):
            await store.users.restore(users[start : start + _BATCH])
    finally:
        await store.close()


def _celery() -> list[str]:
    return [sys.executable, "-m", "celery", "-A", "workers.app"]
