"""Three nodes share a fleet. One is killed and replaced under load, one is drained, and the disk of
the killed one is found again."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.nodes import Fleet
from tests.support.polling import wait_until

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="counts on Linux's locks"),
    pytest.mark.timeout(600),
]

HOMES = 48
ACCELERATED_HOUR = 4.0
"""Real seconds."""


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    settings = {
        "EAGLE_TEST_CLOCK": f"{time.time():.0f}@{3600 / ACCELERATED_HOUR:g}",
        "EAGLE_DEMAND_INTERVAL": "20m",
        "EAGLE_SUMMATION_INTERVAL": "1h",
        "EAGLE_PRICE_INTERVAL": "3h",
        "EAGLE_MESSAGE_INTERVAL": "6h",
        "EAGLE_FETCH_QUEUES": "3",
        "EAGLE_MIN_FREE_DISK": "0",
        "EAGLE_MAX_WAITING_MESSAGES": "3",
        # Real time, and short, so that the users of the killed node are soon fetched again.
        "EAGLE_DEADLINE": "8",
        "EAGLE_LEASE": "10",
    }
    with Fleet(tmp_path, homes=HOMES, shards=12, settings=settings) as fleet:
        yield fleet


def test_a_fleet_loses_a_node_and_finds_its_disk_again(fleet: Fleet) -> None:
    fleet.start_control()
    for number in range(3):
        fleet.start_worker(f"node-{number}", f"disk-{number}", f"fetch.{number},rotate")
    for number in range(3):
        wait_until(lambda number=number: bool(fleet.last_archived(f"disk-{number}")))  # type: ignore[misc]
        assert fleet.logged(f"disk-{number}") <= fleet.homes_of(number)

    # One node dies under load, and a new one takes its queue.
    fleet.kill_when("node-1", lambda: fleet.unarchived("disk-1") > 0)
    assert fleet.unarchived("disk-1") > 0, "what only this disk holds"
    wait_until(lambda: fleet.waiting("fetch.1") > 0)
    hour = fleet.folder("disk-2").hours()[-1]
    # The full queue of the dead node does not stop the other nodes.
    wait_until(lambda: fleet.folder("disk-2").hours()[-1].start >= hour.start + 2 * 3600)
    fleet.start_worker("node-3", "disk-3", "fetch.1,rotate")

    # Meanwhile another is drained and put back to work.
    assert "empty: the archive holds every reading" in fleet.run("disk-0", "drain")
    assert fleet.unarchived("disk-0") == 0
    others = fleet.last_archived("disk-2")
    wait_until(lambda: fleet.last_archived("disk-2") > others)
    assert fleet.unarchived("disk-0") == 0, "the other nodes went on, this one did not"
    assert "empty" in fleet.run("disk-0", "drain"), "a second drain does no harm"
    fleet.run("disk-0", "drain", "--undo")
    wait_until(lambda: fleet.unarchived("disk-0") > 0)

    # The new node serves all homes of the dead one.
    wait_until(lambda: fleet.logged("disk-3") == fleet.homes_of(1))

    # Without the dead node's disk, what only it held counts as lost …
    fleet.drain("disk-0", "disk-2", "disk-3")
    fleet.end("relay")
    held = fleet.unarchived("disk-1")
    before = fleet.verdict(code=1, with_deaths=False)
    assert before["lost"] > 0
    assert before["duplicated"] == before["unexpected"] == before["misfiled"] == 0

    # … and once the disk is back, a rotator archives it.
    assert fleet.unarchived("disk-1") == held
    fleet.start_worker("finder", "disk-1", "rotate")
    wait_until(lambda: fleet.unarchived("disk-1") == 0)
    after = fleet.verdict(code=0, with_deaths=True)
    assert after["lost"] == after["duplicated"] == after["unexpected"] == after["misfiled"] == 0
    assert after["readings_archived"] > before["readings_archived"]
    assert after["readings_served"] == after["readings_archived"] + after["unreturnable"]
    for name in ("finder", "node-0", "node-2", "node-3", "dispatcher"):
        fleet.end(name)
