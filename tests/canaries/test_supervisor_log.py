"""What `workers/up/supervisor_log.py` reads in the log that the real supervisor writes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.canaries.advice import advice_of
from tests.support.polling import wait_until
from workers.up.supervisor_log import DIED, GAVE_UP, STARTED, STOPPED, ProcessLog

MODULE = "workers/up/supervisor_log.py"
CONFIGURATION = """
[supervisord]
nodaemon=true
logfile=%(here)s/supervisord.log
pidfile=%(here)s/supervisord.pid
childlogdir=%(here)s
[program:lasting]
command=sleep 1000
startsecs=0
[program:dying]
command=sh -c "exit 3"
startretries=0
startsecs=10
"""


def test_the_log_shows_starts_ends_and_what_was_given_up(tmp_path: Path) -> None:
    with advice_of(MODULE):
        log = _log_of_a_run(tmp_path)
        events = list(ProcessLog().read(log.splitlines()))
        happened = {(event.name, event.what) for event in events}
        expected = {
            ("lasting", STARTED),
            ("lasting", STOPPED),
            ("dying", STARTED),
            ("dying", DIED),
            ("dying", GAVE_UP),
        }
        assert happened == expected, log
        [death] = [event for event in events if event.what == DIED]
        assert death.status == "exit status 3", log
        assert death.pid > 0, log
        assert abs(death.at - time.time()) < 600, log


def _log_of_a_run(directory: Path) -> str:
    """What supervisor writes of a program that dies and of one that is stopped with it."""
    configuration, log = directory / "supervisord.conf", directory / "supervisord.log"
    configuration.write_text(CONFIGURATION)
    log.touch()
    command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(configuration)]
    environment = {**os.environ, "TZ": "UTC"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as supervisor:
        wait_until(lambda: "dying entered FATAL" in log.read_text())
        supervisor.terminate()
    return log.read_text()
