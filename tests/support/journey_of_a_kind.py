"""Follows the made-up kind `current` through the program, as a script of its own: see
`tests/integration/test_made_up_kind.py`, which adds the kind to a copy of the program."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from click.testing import CliRunner

import eagle_logger
from eagle_logger import settings
from eagle_logger.archive.memory import MemoryArchive
from eagle_logger.cli.read import values_in_words
from eagle_logger.cli.users import users
from eagle_logger.core.kinds import Kind, kind_of
from eagle_logger.core.line_format import encode_line, parse_line
from eagle_logger.core.line_parser import times_in_order
from eagle_logger.core.readings import Reading
from eagle_logger.core.schedule import intervals_of, kinds_due
from eagle_logger.core.user_state import after_logging, is_logged
from eagle_logger.core.users import User, UserState
from eagle_logger.inspection.ledger_comparison import compare
from eagle_logger.rainforest.decoding.decode import decode
from eagle_logger.rainforest.relay.requests import reading_request
from eagle_logger.simulator.relay import commands, gateway, rendering
from eagle_logger.simulator.relay.faults import RelayFaults
from eagle_logger.simulator.relay.homes import homes
from eagle_logger.users.redis.encoding import decode_state, encode_state
from eagle_logger.users.user_json import new_user

CURRENT = kind_of("current")
(HOME,) = homes(1, seed=7)
NOW = time.time() - 3600


def main() -> None:
    assert Path(eagle_logger.__file__).is_relative_to(os.environ["PYTHONPATH"])
    assert isinstance(CURRENT, Kind)
    it_is_due_at_its_interval()
    reading, row = it_is_asked_for_and_decoded()
    it_is_remembered(reading)
    it_is_logged_shown_and_compared(reading, row)


def it_is_due_at_its_interval() -> None:
    intervals = settings.load().intervals
    assert intervals[CURRENT] == 45
    assert CURRENT in kinds_due(
        HOME.cloud_id, intervals_of(User(HOME.cloud_id), intervals), {}, NOW
    )
    assert "--current-interval" in CliRunner().invoke(users, ["add", "--help"]).output
    members = {"cloud_id": HOME.cloud_id, "user_email": "a@b.example", "user_pw": "not-a-secret"}
    assert new_user({**members, "current_interval": 90}).user.intervals == {CURRENT: 90}
    assert new_user({**members, "intervals": {"current": 90}}).user.intervals == {CURRENT: 90}


def it_is_asked_for_and_decoded() -> tuple[Reading, bytes]:
    """The reading, and the row that the simulator's ledger has of it."""
    command = commands.parse(reading_request(CURRENT))
    assert command is not None
    assert command.kind == CURRENT
    rule = {"fault": "hang", "kinds": ["current"]}
    faults = RelayFaults.parse(json.dumps({"rules": [rule]}).encode(), (), NOW)
    assert faults.rules_hitting(HOME, command.kind, 0)
    answer = gateway.answer_command(HOME, command, NOW, gateway.GatewayState())
    assert answer is not None
    (expected,) = answer.readings()
    (reading,) = decode(rendering.xml(answer)).readings
    assert reading.kind is CURRENT
    head = f'"cloud_id":"{HOME.cloud_id}","wall":{NOW},"agent":""'
    row = f'{{{head},"readings":[{expected.as_json(HOME)}]}}'
    return reading, row.encode() + b"\n"


def it_is_remembered(reading: Reading) -> None:
    later = [reading._replace(time=reading.time + turn) for turn in range(4)]
    state = decode_state(encode_state(after_logging(UserState(), later, NOW)))
    assert [is_logged(state, one) for one in later] == [False, True, True, True]


def it_is_logged_shown_and_compared(reading: Reading, row: bytes) -> None:
    line = encode_line(HOME.cloud_id, reading, NOW)
    assert times_in_order(line, HOME.cloud_id) is not None
    amperes = float(str(reading.values["amperes"]))
    assert values_in_words(parse_line(line.strip())) == f"{amperes:g} A L1"
    verdict = compare(lambda: [row], MemoryArchive(), on_disk=[(HOME.cloud_id, line)], now=NOW)
    assert (verdict.readings_served, verdict.not_archived_yet, verdict.lost) == (1, 1, 0)
    wrong = line.replace(b'"phase":"L1"', b'"phase":"L2"')
    verdict = compare(
        lambda: [row], MemoryArchive(), on_disk=[(HOME.cloud_id, wrong)], now=NOW + 3600
    )
    assert verdict.lost == 1


if __name__ == "__main__":
    main()
