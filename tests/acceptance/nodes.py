"""Several nodes as processes. Each has a log volume and a worker that fetches and rotates; all
share Redis, relay, archive and beat."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from eagle_logger.broker_queues import Broker
from eagle_logger.core.paths import shard_of
from eagle_logger.core.redis_address import RedisAddress
from eagle_logger.logs.folder import LogFolder
from eagle_logger.users.cipher import new_key
from tests.acceptance.running import EAGLE_LOGGER, environment
from tests.support.polling import PATIENCE_S, wait_until
from tests.support.programs import BEAT, Programs, run_to_end
from tests.support.redis_server import RedisServer

URL = re.compile(r"^http\S+$", re.MULTILINE)


class Fleet(Programs):
    """The processes of a test. Each works on a data directory of its own, or on that of another."""

    def __init__(
        self,
        directory: Path,
        *,
        homes: int,
        shards: int,
        settings: Mapping[str, str],
        relay: Sequence[str] = (),
    ) -> None:
        """`relay`: further options of `simulate`."""
        shared = {"EAGLE_SHARDS": str(shards), "EAGLE_SECRET_KEYS": new_key()}
        self._shared = {**settings, **shared, "PYTHONPATH": str(Path.cwd())}
        super().__init__(directory, self._shared)
        self.shards = shards
        self.fetch_queues = int(settings["EAGLE_FETCH_QUEUES"])
        self._homes, self._relay_options = homes, relay
        self._access = {"EAGLE_AWS_ACCESS_KEY_ID": "test", "EAGLE_AWS_SECRET_ACCESS_KEY": new_key()}
        self._redis = RedisServer(directory, "--appendonly", "yes")

    def __enter__(self) -> Self:
        try:
            self._start_services()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._redis.kill()

    def _start_services(self) -> None:
        self.data("control").mkdir()
        self._redis.start()
        self._shared |= self._access | {"EAGLE_REDIS_URL": self._redis.url}
        ledger, users = self.directory / "ledger.jsonl", self.directory / "users.jsonl"
        options = ["--homes", str(self._homes), "--ledger", str(ledger), "--users-file", str(users)]
        options += ["--latency", "0.05", "--latency-spread", "0.02"]
        relay = self._start_stand_in("relay", "simulate", *options, *self._relay_options)
        self._shared |= {
            "EAGLE_RELAY_URL": f"{relay}/cgi-bin/post_manager",
            "EAGLE_ARCHIVE_URL": "s3://eagle/archive",
        }
        self._shared["EAGLE_S3_ENDPOINT_URL"] = self._start_stand_in(
            "s3", "simulate-s3", "--directory", str(self.directory / "s3")
        )
        self.run("control", "users", "import", str(users))
        self.homes = [json.loads(line)["cloud_id"] for line in users.read_text().splitlines()]

    # Processes ------------------------------------------------------------------------------------

    def start_control(self) -> None:
        """Start beat and the dispatcher, which belong to no node."""
        self.celery("beat", *BEAT, EAGLE_DATA_DIR=self._data_dir("control"))
        self.start_worker("dispatcher", "control", "dispatch,adhoc")

    def start_worker(self, name: str, data: str, queues: str) -> None:
        options = ("-n", f"{name}@%h", "-Q", queues, "-P", "threads", "-c", "8")
        self.celery(name, "worker", *options, EAGLE_DATA_DIR=self._data_dir(data))

    def kill_when(self, name: str, condition: Callable[[], bool]) -> None:
        """Kill the process while the condition holds, and record its death as `up` would."""
        process = self._running.pop(name)

        def holds_while_it_is_stopped() -> bool:
            process.send_signal(signal.SIGSTOP)
            if condition():
                return True
            process.send_signal(signal.SIGCONT)
            return False

        wait_until(holds_while_it_is_stopped)
        process.kill()
        process.wait()
        agent = f"eagle-logger/{version('eagle-logger')} {name}/{process.pid}"
        with (self.directory / "deaths.jsonl").open("a") as deaths:
            deaths.write(json.dumps({"wall": time.time(), "agent": agent}) + "\n")

    def end(self, name: str) -> None:
        process = self._running.pop(name)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0, self.output(name)

    def run(self, data: str, *words: str, code: int = 0) -> str:
        """Run an `eagle-logger` command on this data directory; returns its output."""
        done = run_to_end([*EAGLE_LOGGER, *words], env=self._environment(data))
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def drain(self, *data: str) -> None:
        """Drain all of these nodes at the same time."""
        command = [*EAGLE_LOGGER, "drain"]
        runs = [
            subprocess.Popen(
                command, env=self._environment(name), stdout=subprocess.PIPE, text=True
            )
            for name in data
        ]
        for run in runs:
            output, _ = run.communicate()
            assert run.returncode == 0, output

    def _start_stand_in(self, name: str, *words: str) -> str:
        """Start it; returns the URL that it prints."""
        self.python(name, *EAGLE_LOGGER[1:], *words, EAGLE_DATA_DIR=self._data_dir("control"))
        wait_until(lambda: URL.search(self.output(name)) is not None or not self.runs(name))
        url = URL.search(self.output(name))
        assert url, self.output(name)
        return url[0]

    def _environment(self, data: str) -> dict[str, str]:
        return environment(self.data(data), **self._shared)

    def _data_dir(self, name: str) -> str:
        return str(self.data(name))

    # What they leave ------------------------------------------------------------------------------

    def data(self, name: str) -> Path:
        return self.directory / name

    def folder(self, data: str) -> LogFolder:
        return LogFolder(self.data(data) / "logs")

    def homes_of(self, queue: int) -> set[str]:
        return {
            home for home in self.homes if shard_of(home, self.shards) % self.fetch_queues == queue
        }

    def logged(self, data: str) -> set[str]:
        """The homes of which this disk holds a log file, open or sealed."""
        return {
            path.name[11:17] for path in (self.data(data) / "logs").glob("*/*/rainforest-*.jsonl")
        }

    def unarchived(self, data: str) -> int:
        folder = self.folder(data)
        return sum(folder.unarchived(hour) for hour in folder.hours())

    def last_archived(self, data: str) -> str:
        """The name of the last hour of which this disk holds a receipt; empty if there is none."""
        receipts = (self.data(data) / "logs").glob("*/*/*.receipt.json")
        return max((receipt.parts[-3] for receipt in receipts), default="")

    def waiting(self, queue: str) -> int:
        """How many messages of the queue no worker has taken."""
        with contextlib.closing(
            Broker(RedisAddress.parse(self._redis.url).on_database(1))
        ) as broker:
            return broker.waiting([queue])[queue]

    def verdict(self, *, code: int, with_deaths: bool) -> dict[str, Any]:
        """Compare the archive with the relay's ledger. Without the deaths, readings that only a
        dead process had seen count as lost."""
        deaths = ["--deaths", str(self.directory / "deaths.jsonl")] if with_deaths else []
        ledger = ["--ledger", str(self.directory / "ledger.jsonl")]
        return dict(
            json.loads(self.run("control", "verify", *ledger, *deaths, "--json", code=code))
        )
