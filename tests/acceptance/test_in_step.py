"""The whole system finds the rhythm of its meters, and asks in step with them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.nodes import Fleet
from tests.support.polling import wait_until

pytestmark = pytest.mark.timeout(900)

HOMES = 6
PERIOD_S = 8
READINGS_IN_THE_TRACE = 50
SETTLED_READINGS_A_HOME = 12
"""Requests are counted once all homes are in step, for at least so many readings of each."""
PLAIN_REQUESTS_PER_READING = PERIOD_S / 6
PATIENCE_S = 400.0
"""A dozen readings take 100 seconds, on any machine."""


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    trace = tmp_path / "trace.jsonl"
    made = (PERIOD_S * number for number in range(READINGS_IN_THE_TRACE))
    trace.write_text("".join(json.dumps({"made": at, "shows": at + 3.6}) + "\n" for at in made))
    settings = {
        "EAGLE_DEMAND_INTERVAL": "6",
        # So that every request asks for a demand.
        "EAGLE_SUMMATION_INTERVAL": "1d",
        "EAGLE_PRICE_INTERVAL": "1d",
        "EAGLE_MESSAGE_INTERVAL": "1d",
        "EAGLE_FETCH_QUEUES": "1",
        "EAGLE_MIN_FREE_DISK": "0",
    }
    options = ("--trace", str(trace))
    with Fleet(tmp_path, homes=HOMES, shards=1, settings=settings, relay=options) as fleet:
        yield fleet


def counters(fleet: Fleet) -> dict[str, int]:
    return dict(json.loads(fleet.run("control", "status", "--json"))["counters"])


def homes_in_step(fleet: Fleet) -> int:
    users = json.loads(fleet.run("control", "status", "--json"))["users"]
    return sum(user["in_step"] for user in users)


def test_homes_are_found_in_step_and_asked_less_than_on_the_plain_grid(fleet: Fleet) -> None:
    fleet.start_control()
    fleet.start_worker("node", "disk", "fetch.0,rotate")
    wait_until(lambda: homes_in_step(fleet) == HOMES, patience=PATIENCE_S, pause=2)

    before = counters(fleet)

    def are_asked_less() -> bool:
        since = counters(fleet)
        polls, readings = (since[name] - before[name] for name in ("polls", "readings_polled"))
        enough = readings >= SETTLED_READINGS_A_HOME * HOMES
        return enough and polls < PLAIN_REQUESTS_PER_READING * readings

    wait_until(are_asked_less, patience=PATIENCE_S, pause=2)
    assert counters(fleet)["visits_in_step"] > before.get("visits_in_step", 0)
    for user in json.loads(fleet.run("control", "status", "--json"))["users"]:
        assert user["period"] == pytest.approx(PERIOD_S, abs=0.5)
    for name in ("node", "dispatcher"):
        fleet.end(name)
