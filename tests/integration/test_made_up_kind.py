"""What a new kind of reading costs: one is added to a copy of the program, in the modules that
CONTRIBUTING.md names, and then goes all the way from the settings to the comparison of ledgers."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

from tests.support.programs import run_to_end

ROOT = Path(__file__).parents[2]
JOURNEY = ROOT / "tests" / "support" / "journey_of_a_kind.py"

ROW = """\
        KindSpec(
            kind=Kind.CURRENT,
            command="get_instantaneous_current",
            root_elements=("InstantaneousCurrent",),
            numbers=("amperes",),
            texts=("phase",),
            unit="A",
            wording="{amperes} {unit} {phase}",
            holds_without_time=False,
            is_periodic=True,
            default_interval=30,
            kept_per_stream=3,
        ),
"""
DECODING = """\
def _current(fields: Fields) -> _Values:
    amperes = numbers.scaled(numbers.unsigned(_required(fields, "Current")), 1, 1000)
    return {"amperes": amperes, "phase": fields.get("phase"), "unit": "A"}, _NO_FLAGS


"""
SIMULATION = """\
def _get_current(home: Home, _command: Command, now: float, state: GatewayState) -> GatewayAnswer:
    def notify(home: Home, moment: Moment, clock_error: int) -> Notification:
        milliamperes = random_bits(moment.turn, home.salt) % 30_000
        time = moment.time + clock_error
        values = (("amperes", str(milliamperes / 1000)), ("phase", "L1"))
        fields = [
            ("DeviceMacId", home.device),
            ("MeterMacId", home.meter),
            ("TimeStamp", f"0x{time - EPOCH:08x}"),
            ("Current", f"0x{milliamperes:04x}"),
            ("Phase", "L1"),
        ]
        reading = notes.ExpectedReading("current", time, values, holds_without_time=False)
        return Notification("InstantaneousCurrent", fields, reading)

    return _answer_with_readings(home, MeterStream(5, 30), now, state, notify)


"""
BEFORE = {
    "eagle_logger/core/kinds.py": (
        ("\n    # Enum's own `__hash__`", '    CURRENT = "current"\n'),
        ("    )\n}\n", ROW),
    ),
    "eagle_logger/rainforest/decoding/notifications.py": (
        ("    Kind.MESSAGE: (", '    Kind.CURRENT: ("TimeStamp", "Current", "Phase"),\n'),
        ("_VALUES: dict", DECODING),
        ("    Kind.MESSAGE: _message", "    Kind.CURRENT: _current,\n"),
    ),
    "eagle_logger/simulator/relay/gateway.py": (
        ("_HANDLERS: dict", SIMULATION),
        ('    "get_message"', '    "get_instantaneous_current": _get_current,\n'),
    ),
}
"""What the new kind writes into which module, each before what stands there already."""


def test_a_made_up_kind_touches_the_three_modules_that_are_documented(tmp_path: Path) -> None:
    section = (ROOT / "CONTRIBUTING.md").read_text().partition("### A kind of reading\n")[2]
    documented = re.findall(r"`(eagle_logger/[\w/]+\.py)`", section.partition("\n### ")[0])
    assert set(documented) == set(BEFORE)
    shutil.copytree(ROOT / "eagle_logger", tmp_path / "eagle_logger")
    for name, insertions in BEFORE.items():
        file = tmp_path / name
        code = file.read_text()
        for place, new in insertions:
            assert code.count(place) == 1, f"{place!r} is no longer one place of {name}"
            code = code.replace(place, new + place)
        file.write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "EAGLE_CURRENT_INTERVAL": "45"}
    command = [sys.executable, "-W", "error", str(JOURNEY)]
    journey = run_to_end(command, env=environment, cwd=tmp_path)
    assert journey.returncode == 0, journey.stderr
