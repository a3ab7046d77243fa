"""The whole system as processes: `eagle-logger up`."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import stat
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.running import EAGLE_LOGGER, Up, environment, processes
from tests.support.polling import wait_until
from tests.support.programs import run_to_end
from workers.up.ports import free_port
from workers.up.readiness import answers

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
    pytest.mark.timeout(600),
]

KEYS = {
    *("homes", "fetches", "requests", "failed_fetches", "missed_turns", "late_p99_s"),
    *(
        "readings_served",
        "readings_logged",
        "readings_archived",
        "objects",
        "lost",
        "duplicated",
        "unreturnable",
    ),
}
ACCELERATED_HOUR = 4.0
"""Real seconds."""
PART_0 = re.compile(r"([0-9a-f]{6})-(\d{4}-\d\d-\d\d-\d\d)\.jsonl\.gz")


def ports(**taken: str) -> dict[str, str]:
    """Any free ports, because several of these tests may run at once."""
    return {"EAGLE_BRIDGE_PORT": "0", "EAGLE_FLOWER_PORT": "0", **taken}


def ranks(data: Path, worker: str) -> set[tuple[int, int]]:
    """The nice values of this worker's processes, and of their sessions."""
    mine = [pid for pid, command in processes(data).items() if f"worker -n {worker}@" in command]
    return {(os.getpriority(os.PRIO_PROCESS, pid), _nice_of_session(pid)) for pid in mine}


def _nice_of_session(pid: int) -> int:
    """0 on a Linux that does not weigh sessions."""
    try:
        return int(Path(f"/proc/{pid}/autogroup").read_text().rpartition(" ")[2])
    except FileNotFoundError:
        return 0


def open_to_others(data: Path) -> list[str]:
    """The paths that other users of this machine could read."""
    return [
        str(path)
        for path in data.rglob("*")
        if not path.is_symlink() and path.stat().st_mode & 0o077
    ]


def pinged(data: Path) -> str:
    """The output of `celery inspect ping`, run in a second terminal."""
    ping = ["-m", "celery", "-A", "workers.app", "inspect", "ping", "--timeout", "5"]
    return run_to_end([sys.executable, *ping], env=environment(data)).stdout


def core_limits(pids: Iterable[int]) -> set[str]:
    """The limits of those that still live."""
    limits = set()
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            text = Path(f"/proc/{pid}/limits").read_text()
            limits |= set(re.findall(r"Max core file size +(\S+)", text))
    return limits


def accelerated() -> dict[str, str]:
    speed = 3600 / ACCELERATED_HOUR
    return {
        "EAGLE_TEST_CLOCK": f"{time.time():.0f}@{speed:g}",
        "EAGLE_DEMAND_INTERVAL": "30m",
        "EAGLE_SUMMATION_INTERVAL": "1h",
        "EAGLE_PRICE_INTERVAL": "3h",
        "EAGLE_MESSAGE_INTERVAL": "6h",
        # An hour of real time, so that here only complete hours are archived.
        "EAGLE_ROTATE_OPEN_EVERY": "1h",
        "EAGLE_FETCH_WORKERS": "2",
        # Real time, and short, so that the users of the killed worker are fetched again before the
        # end.
        "EAGLE_DEADLINE": "4",
        "EAGLE_LEASE": "6",
    }


def archived_hours(data: Path) -> dict[str, set[str]]:
    """Hour → the users of whom the archive holds part 0 of it."""
    hours: dict[str, set[str]] = {}
    for path in (data / "s3" / "eagle-logger" / "archive").rglob("*.gz"):
        if named := PART_0.fullmatch(path.name):
            hours.setdefault(named[2], set()).add(named[1])
    return hours


def test_five_hours_of_operation_with_a_killed_worker(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Up(data, "--homes", "20", "--json", **ports(), **accelerated()) as up:
        up.await_ready()
        first = up.pid("worker -n fetch-1@")
        os.kill(first, signal.SIGKILL)
        up.await_line(rf"fetch-1 \(pid {first}\) died: terminated by SIGKILL")
        wait_until(lambda: up.pid("worker -n fetch-1@") not in {0, first})

        second = run_to_end([*EAGLE_LOGGER, "up", "--data", str(data)], env=environment(data))
        assert second.returncode == 2
        assert "Another `eagle-logger up` runs on this data directory" in second.stderr

        wait_until(lambda: len(archived_hours(data)) >= 5)
        up.ask_to_stop()
        assert up.wait() == 0, up.screen
        summary = up.summary()
        assert set(summary) == KEYS
        assert summary["lost"] == summary["duplicated"] == 0
        assert summary["homes"] == 20
        assert summary["fetches"] >= 20 * 2
        assert summary["readings_archived"] >= 20 * 4
        assert summary["readings_served"] == summary["readings_archived"] + summary["unreturnable"]
        (death,) = up.deaths()
        assert (death["name"], death["pid"]) == ("fetch-1", first)
        assert death["agent"].endswith(f" fetch-1/{first}")
        assert len(set().union(*archived_hours(data).values())) == 20
        wait_until(lambda: not processes(data))


def test_a_killed_up_leaves_no_process_and_carries_on_at_its_next_start(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Up(data, "--homes", "3", **ports()) as up:
        up.await_ready()
        running = processes(data)
        for program in ("-server 127.0.0.1:", "supervisord", "workers.server", "moto", "flower"):
            assert program in " ".join(running.values())
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
        assert open_to_others(data) == []
        assert core_limits(running) == {"0"}
        # A worker reports progress a moment before it answers broadcasts.
        wait_until(lambda: "rotator@" in pinged(data))
        assert ranks(data, "rotator") == {(10, 0)}, "the rotator alone is nice, not its session"
        assert ranks(data, "fetch-1") == {(0, 0)}
        up.await_line(r"[1-9]\d* readings logged")
        up.kill()
        wait_until(lambda: not processes(data))
    before = (data / "simulator" / "ledger.jsonl").read_text().count("\n")
    assert before > 0
    with Up(data, "--homes", "3", "--for", "60", "--json", **ports()) as up:
        up.await_ready()
        assert "homes registered" not in up.screen
        up.ask_to_stop()
        assert up.wait() == 0, up.screen
        assert not processes(data)
        summary = up.summary()
    assert summary["homes"] == 3
    assert summary["lost"] == summary["duplicated"] == 0
    assert (data / "simulator" / "ledger.jsonl").read_text().count("\n") >= before
    assert all(
        (data / name).stat().st_mode & 0o077 == 0
        for name in ("services.json", "secret.keys", "redis/redis.conf")
    )


def test_a_program_that_keeps_dying_ends_up(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "redis").mkdir(parents=True)
    (data / "redis" / "appendonly.aof").write_text("this is no append-only file\n" * 10)
    with Up(data, **ports()) as up:
        assert up.wait() == 1
        assert not processes(data)
        assert "redis died 5 times in a row" in up.screen
        assert "Bad file format reading the append only file" in up.screen
        assert len(up.deaths()) == 5


def take_flowers_port(data: Path) -> socket.socket:
    """Bind Flower's port after `up` has chosen it and before Flower starts."""
    wait_until((data / "services.json").exists, pause=0.002)
    port = int(json.loads((data / "services.json").read_text())["flower_port"])
    return socket.create_server(("127.0.0.1", port))


def findings(data: Path) -> dict[str, dict[str, Any]]:
    done = run_to_end([*EAGLE_LOGGER, "doctor", "--json"], env=environment(data))
    return {finding["name"]: finding for finding in json.loads(done.stdout)}


def test_flower_moves_from_a_taken_port_and_a_frozen_beat_is_named(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Up(data, **ports(EAGLE_FLOWER_PORT="0")) as up, take_flowers_port(data) as taken:
        up.await_line("flower: another program has taken its port")
        up.await_ready()
        port = int(json.loads((data / "services.json").read_text())["flower_port"])
        assert port != taken.getsockname()[1]
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/healthcheck"))
        beat = up.pid("workers.app beat")
        os.kill(beat, signal.SIGSTOP)
        up.await_line("beat: no progress for 5 s; look at what it wrote in run/log/beat.log")
        os.kill(beat, signal.SIGCONT)
        up.ask_to_stop()
        assert up.wait() == 0, up.screen


def test_the_system_runs_without_flower_if_the_configured_port_is_taken(tmp_path: Path) -> None:
    data, port = tmp_path / "data", free_port()
    with (
        Up(data, "--homes", "3", **ports(EAGLE_FLOWER_PORT=str(port))) as up,
        take_flowers_port(data),
    ):
        up.await_line("flower keeps dying; the system goes on without it")
        up.await_ready()
        up.await_line(r"[1-9]\d* readings logged")
        wait_until((data / "run" / "given_up.json").exists)
        assert json.loads((data / "run" / "given_up.json").read_text()) == ["flower"]
        assert up.screen.count("flower keeps dying") == 1
        assert findings(data)["programs"]["well"] is False
        up.ask_to_stop()
        assert up.wait() == 0, up.screen


def test_all_mistakes_in_the_settings_are_reported_at_once(tmp_path: Path) -> None:
    mistakes = {"EAGLE_LEASE": "3", "EAGLE_SHARDS": "none"}
    with Up(tmp_path / "data", "--homes", "3", **mistakes) as up:
        assert up.wait() == 2
        assert "EAGLE_LEASE" in up.screen
        assert "EAGLE_SHARDS" in up.screen
        assert "Traceback" not in up.screen
    with Up(tmp_path / "other", "--homes", "3", EAGLE_ARCHIVE_URL="s3://mine/prefix") as up:
        assert up.wait() == 2
        assert "unset EAGLE_ARCHIVE_URL" in up.screen


def test_an_up_ignores_the_services_that_an_earlier_one_wrote(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "services.json").write_text(
        json.dumps({"relay_url": "http://127.0.0.1:1/stale", "archive_url": "s3://stale/x"})
    )
    with Up(data, **ports(EAGLE_REDIS_URL="redis://127.0.0.1:1/0")) as up:
        assert up.wait() == 1
        assert "Redis does not answer" in up.screen
        assert not processes(data)
    services = json.loads((data / "services.json").read_text())
    assert "stale" not in json.dumps(services)
    assert services["redis_url"] == "redis://127.0.0.1:1/0"
