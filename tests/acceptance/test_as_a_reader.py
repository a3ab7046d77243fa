"""Follows README and the tutorial to the letter, as a person who has just cloned the repository.
The test types each command of the pages as it stands there, in order, and checks what the page
says."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.running import processes
from tests.acceptance.terminal import Terminal
from tests.support.pages import Page, shape

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
    pytest.mark.timeout(600),
]

ROOT = Path(__file__).parents[2]
READY = "In a second terminal:"
UNTYPED = {
    "make test": "it would run this test again",
    "make install": "it was done before this test could run",
}
PASSWORD = "made-up words"


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Path]:
    """A folder as `git clone` and `make install` leave it."""
    folder = tmp_path / "eagle_logger"
    folder.mkdir()
    (folder / "Makefile").symlink_to(ROOT / "Makefile")
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "docs").symlink_to(ROOT / "docs")
    yield folder
    for data in (folder / "data", folder / "eagle"):
        for pid in processes(data):
            os.kill(pid, signal.SIGKILL)


def without_installing(command: str) -> str:
    """The same `make`, which takes the environment for installed."""
    return command.replace("make ", "make -o .venv/.installed ")


def test_every_command_of_readme_and_the_tutorial_works(clone: Path) -> None:
    with (
        Page("docs/tutorial/first-hour.md", "sh", "text") as tutorial,
        Page("README.md", "sh", untyped=UNTYPED) as readme,
        Terminal(clone) as up,
        Terminal(clone) as reader,
        Terminal(clone) as owner,
    ):
        make_up = tutorial.next("make up")
        assert make_up == readme.next("make up")
        running = up.start(without_installing(make_up))
        running.await_line(READY)
        running.await_line(r"[1-9]\d* readings logged \(\+\d+\) · [1-9]\d* objects archived")
        assert shape(tutorial.next()) in {shape(line) for line in running.screen.splitlines()}

        # README: from a second terminal.
        assert "25" in reader.enter(readme.next(".venv/bin/eagle-logger status"))
        listed = reader.enter(readme.next(".venv/bin/eagle-logger users list"))
        cloud_id = re.findall(r"^\W*([0-9a-f]{6})\b", listed, re.MULTILINE)[0]
        reader.enter_until(
            readme.next(".venv/bin/eagle-logger read CLOUD_ID").replace("CLOUD_ID", cloud_id),
            "demand",
        )
        reader.enter(readme.next(".venv/bin/eagle-logger doctor"), codes=(0, 1))
        reader.enter_until(
            readme.next("EAGLE_DATA_DIR=data .venv/bin/celery -A workers.app inspect active"),
            "online",
        )

        # Tutorial: look around.
        reader.export(tutorial.next("export EAGLE_DATA_DIR=data PATH="))
        watching = reader.start(tutorial.next("eagle-logger status --watch"))
        watching.await_line(cloud_id)
        watching.control_c()
        assert cloud_id in reader.enter(tutorial.next("eagle-logger users list"))
        assert "demand" in reader.enter(
            tutorial.next("eagle-logger read CLOUD_ID").replace("CLOUD_ID", cloud_id)
        )
        lines = reader.enter_until(
            tutorial.next("eagle-logger read CLOUD_ID --since 10m").replace("CLOUD_ID", cloud_id),
            r"\A(?:.*\n){3}\Z",
        )[0].splitlines()
        assert [json.loads(line)["cloud_id"] for line in lines] == [cloud_id] * 3
        reader.enter(
            tutorial.next("eagle-logger fetch CLOUD_ID --dry-run").replace("CLOUD_ID", cloud_id)
        )
        reader.enter_until(tutorial.next("celery -A workers.app status"), "OK")
        reader.enter_until(tutorial.next("celery -A workers.app inspect active"), "online")

        # Break something.
        pid = reader.enter_until(
            tutorial.next("celery -A workers.app inspect stats | grep"),
            r'fetch-1@\S+ OK\n\W*"pid": (\d+)',
        )[1]
        reader.enter(tutorial.next("kill -9 PID").replace("PID", pid))
        running.await_line(rf"\(pid {pid}\) died")
        running.control_c()
        assert "start again on the same data directory to carry on" in running.screen
        running = up.start(without_installing(make_up))
        running.await_line(READY)
        running.await_line(r"\d+ readings logged")
        verdict = reader.enter(
            tutorial.next("eagle-logger rotate --include-open && eagle-logger verify")
        )
        assert re.search(r"^lost +0$", verdict, re.MULTILINE), verdict
        assert re.search(r"^duplicated +0$", verdict, re.MULTILINE), verdict
        running.control_c()
        ended = reader.enter(f"{tutorial.next('eagle-logger up --homes 25 --for 30')} 2>&1")
        assert re.search(r"\blost\W+0\b", ended), ended
        assert re.search(r"\bduplicated\W+0\b", ended), ended

        # A picture of the day.
        assert "00-0.parquet" in reader.enter(tutorial.next("ls data/s3/"))
        reader.enter(tutorial.next("python docs/tutorial/draw_a_day.py"))
        assert (clone / "a-day.png").read_bytes()[:4] == b"\x89PNG"

        # A gateway of the reader's own. Here no relay answers for it, least of all the real one.
        owner.export("export PATH=$PWD/.venv/bin:$PATH EAGLE_RELAY_URL=http://127.0.0.1:1/")
        running = owner.start(tutorial.next("eagle-logger up --data ~/eagle"))
        running.await_line(READY)
        owner.export(tutorial.next("export EAGLE_DATA_DIR=~/eagle"))
        owner.enter(tutorial.next("eagle-logger users add 00ce69 --email"), keys=f"{PASSWORD}\n")
        assert "00ce69" in owner.enter(tutorial.next("eagle-logger status"))
        running.control_c()
        assert readme.next(".venv/bin/eagle-logger up") == ".venv/bin/eagle-logger up"
        adding = readme.next(".venv/bin/eagle-logger users add 00ce69 --email")
        assert adding.endswith("eagle-logger users add 00ce69 --email you@example.org"), (
            "as in the tutorial"
        )
