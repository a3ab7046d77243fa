from __future__ import annotations

import shlex
from configparser import RawConfigParser
from pathlib import Path

from workers.up.config import is_safe_path, supervisor_configuration
from workers.up.programs import Program, Stage

RUN = Path("/data dir/run")


def section(program: Program) -> dict[str, str]:
    parser = RawConfigParser(inline_comment_prefixes=(";", "#"))
    parser.read_string(
        supervisor_configuration([program], run=RUN, logs=RUN / "log", socket=RUN / "s")
    )
    return dict(parser[f"program:{program.name}"])


def test_a_program_is_restarted_but_never_started_by_itself() -> None:
    written = section(Program("beat", ("celery", "beat"), Stage.TRIGGERS, 12.5))
    assert (written["autostart"], written["autorestart"]) == ("false", "true")
    assert (written["startsecs"], written["startretries"]) == ("5", "4")
    assert written["stopwaitsecs"] == "13"


def test_a_program_is_started_by_the_script_that_ties_it_to_supervisor() -> None:
    written = section(
        Program("fetch-1", ("celery", "-n", "fetch-1@%h", "a b", "it's"), Stage.FETCHING)
    )
    words = shlex.split(written["command"])
    assert words[-5:] == ["celery", "-n", "fetch-1@%%h", "a b", "it's"]
    assert words[-7].endswith("exec_with_parent.py")
    assert words[-6] == "KILL"


def test_a_program_gets_its_name_and_its_secrets_from_the_environment() -> None:
    written = section(
        Program(
            "flower", ("celery",), Stage.FLOWER, environment={"FLOWER_BASIC_AUTH": "eagle:pass"}
        )
    )
    assert written["environment"] == 'EAGLE_PROCESS_NAME="flower",FLOWER_BASIC_AUTH="eagle:pass"'
    assert "pass" not in written["command"]


def test_later_stages_have_a_higher_priority_because_supervisor_stops_those_first() -> None:
    assert [int(section(Program("x", ("y",), stage))["priority"]) for stage in Stage] == sorted(
        Stage
    )


def test_a_path_that_supervisor_would_misread_is_not_safe() -> None:
    assert is_safe_path(Path("/home/me/data;"))
    assert is_safe_path(Path("/home/me/it's;data#1"))
    assert not any(
        is_safe_path(Path(path)) for path in ("/home/50%", "/home/a ;b", "/home/a #b", "/home/a\nb")
    )
