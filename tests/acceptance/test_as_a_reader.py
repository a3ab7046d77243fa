"""Follows README and the tutorial to the letter, as a person does who has just cloned the repository. Each command of the
pages is typed as it is written, in its order, and does what the page says."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.acceptance.running import PATIENCE, processes, until

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
    pytest.mark.timeout(600),
]

ROOT = Path(__file__).parents[2]
READY = "In a second terminal:"
NOT_TYPED = {
    "make test": "this is a part of it",
    "docker compose up": "make compose-test does",
    "make install": "it has been done, or nothing would run here",
}
PASSWORD = "made-up words"
SETTINGS = {
    "EAGLE_BRIDGE_PORT": "0",  # any free ones: others may be in use on this machine
    "EAGLE_FLOWER_PORT": "0",
}


class Page:
    """The commands of a page, in their order there. None may be left when the context ends."""

    def __init__(self, name: str) -> None:
        fences = re.findall(r"^```sh\n(.*?)^```$", (ROOT / name).read_text(), re.DOTALL | re.MULTILINE)
        lines = [re.sub(r"\s+#.*", "", line).strip() for fence in fences for line in fence.splitlines()]
        self.name, self._left = name, [line for line in lines if line and line not in NOT_TYPED]

    def next(self, begins: str) -> str:
        assert self._left, f"{self.name} has no further command"
        command = self._left.pop(0)
        assert command.startswith(begins), f"{self.name} goes on with: {command}"
        return command

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, wrong: BaseException | None, trace: TracebackType | None) -> None:
        assert wrong is not None or not self._left, f"{self.name}: nobody typed {self._left}"


class Terminal:
    """A shell in a folder. It keeps exported variables from one command to the next."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._started = folder, list[Running]()
        clean = {name: value for name, value in os.environ.items() if not name.startswith("EAGLE_")}
        self._environment = {**clean, **SETTINGS, "HOME": str(folder), "PYTHONWARNINGS": "ignore"}

    def export(self, command: str) -> None:
        output = self.enter(f"{command}; env -0")
        self._environment = dict(one.split("=", 1) for one in output.split("\0") if "=" in one)

    def enter(self, command: str, *, keys: str = "", codes: tuple[int, ...] = (0,)) -> str:
        """Run a command; return its output."""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self._folder,
            env=self._environment,
            input=keys,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.returncode in codes, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        return done.stdout

    def start(self, command: str) -> Running:
        self._started.append(Running(command, self._folder, self._environment))
        return self._started[-1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, wrong: BaseException | None, trace: TracebackType | None) -> None:
        for running in self._started:
            running.kill()


class Running:
    """A command that runs in a terminal until Ctrl-C."""

    def __init__(self, command: str, folder: Path, environment: dict[str, str]) -> None:
        self._output = folder / f"screen-{len(list(folder.glob('screen-*')))}"
        with self._output.open("w") as file:
            self._process = subprocess.Popen(
                ["bash", "-c", f"exec env --default-signal=INT {command}"],  # as a terminal would give it
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    @property
    def screen(self) -> str:
        return self._output.read_text()

    def await_line(self, pattern: str) -> str:
        until(lambda: re.search(pattern, self.screen) is not None or self._process.poll() is not None)
        found = re.search(pattern, self.screen)
        assert found, self.screen
        return found[0]

    def kill(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def control_c(self) -> None:
        os.killpg(self._process.pid, signal.SIGINT)
        self._process.wait(PATIENCE)
        assert "Traceback" not in self.screen, self.screen


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Path]:
    """A folder as `git clone` and `make install` leave it."""
    folder = tmp_path / "eagle_logger"
    folder.mkdir()
    (folder / "Makefile").symlink_to(ROOT / "Makefile")
    (folder / ".venv").symlink_to(sys.prefix)
    yield folder
    for data in (folder / "data", folder / "eagle"):
        for pid in processes(data):
            os.kill(pid, signal.SIGKILL)


def as_make_does(command: str) -> str:
    """What has been installed is not installed again."""
    return command.replace("make ", "make -o .venv/.installed ")


def test_every_command_of_readme_and_the_tutorial_works(clone: Path) -> None:
    with (
        Page("docs/tutorial/first-hour.md") as tutorial,
        Page("README.md") as readme,
        Terminal(clone) as up,
        Terminal(clone) as reader,
        Terminal(clone) as owner,
    ):
        make_up = tutorial.next("make up")
        assert make_up == readme.next("make up")
        running = up.start(as_make_does(make_up))
        running.await_line(READY)
        running.await_line(r"[1-9]\d* readings logged \(\+\d+\) · [1-9]\d* objects archived")

        # README: from a second terminal.
        assert "25" in reader.enter(readme.next(".venv/bin/eagle-logger status"))
        listed = reader.enter(readme.next(".venv/bin/eagle-logger users list"))
        cloud_id = re.findall(r"^\W*([0-9a-f]{6})\b", listed, re.MULTILINE)[0]
        assert "demand" in reader.enter(readme.next(".venv/bin/eagle-logger read CLOUD_ID").replace("CLOUD_ID", cloud_id))
        reader.enter(readme.next(".venv/bin/eagle-logger doctor"), codes=(0, 1))
        assert "online" in reader.enter(readme.next("EAGLE_DATA_DIR=data .venv/bin/celery -A workers.app inspect active"))

        # Tutorial: look around.
        reader.export(tutorial.next("export EAGLE_DATA_DIR=data PATH="))
        watching = reader.start(tutorial.next("eagle-logger status --watch"))
        watching.await_line(cloud_id)
        watching.control_c()
        assert cloud_id in reader.enter(tutorial.next("eagle-logger users list"))
        assert "demand" in reader.enter(tutorial.next("eagle-logger read CLOUD_ID").replace("CLOUD_ID", cloud_id))
        lines = reader.enter(tutorial.next("eagle-logger read CLOUD_ID --since 10m").replace("CLOUD_ID", cloud_id)).splitlines()
        assert [json.loads(line)["cloud_id"] for line in lines] == [cloud_id] * 3
        reader.enter(tutorial.next("eagle-logger fetch CLOUD_ID --dry-run").replace("CLOUD_ID", cloud_id))
        assert "OK" in reader.enter(tutorial.next("celery -A workers.app status"))
        assert "online" in reader.enter(tutorial.next("celery -A workers.app inspect active"))

        # Break something.
        pid = re.findall(r'"pid": (\d+)', reader.enter(tutorial.next("celery -A workers.app inspect stats | grep")))[0]
        reader.enter(tutorial.next("kill -9 PID").replace("PID", pid))
        running.await_line(rf"\(pid {pid}\) died")
        running.control_c()
        assert "start again on the same data directory to carry on" in running.screen
        running = up.start(as_make_does(make_up))
        running.await_line(READY)
        running.await_line(r"\d+ readings logged")
        verdict = reader.enter(tutorial.next("eagle-logger rotate --include-open && eagle-logger verify"))
        assert re.search(r"^lost +0$", verdict, re.MULTILINE), verdict
        assert re.search(r"^duplicated +0$", verdict, re.MULTILINE), verdict
        running.control_c()
        ended = reader.enter(f"{tutorial.next('eagle-logger up --homes 25 --for 30')} 2>&1")
        assert re.search(r"\blost\W+0\b", ended), ended
        assert re.search(r"\bduplicated\W+0\b", ended), ended

        # A gateway of one's own; here nobody answers for it.
        owner.export("export PATH=$PWD/.venv/bin:$PATH EAGLE_RELAY_URL=http://127.0.0.1:1/")  # not the real one
        running = owner.start(tutorial.next("eagle-logger up --data ~/eagle"))
        running.await_line(READY)
        owner.export(tutorial.next("export EAGLE_DATA_DIR=~/eagle"))
        owner.enter(tutorial.next("eagle-logger users add 00ce69 --email"), keys=f"{PASSWORD}\n")
        assert "00ce69" in owner.enter(tutorial.next("eagle-logger status"))
        running.control_c()
        assert readme.next(".venv/bin/eagle-logger up") == ".venv/bin/eagle-logger up"
        adding = readme.next(".venv/bin/eagle-logger users add 00ce69 --email")
        assert adding.endswith("eagle-logger users add 00ce69 --email you@example.org"), "as in the tutorial"
