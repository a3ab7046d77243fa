"""A relay 300 ms away, over TLS: no gateway is asked twice within a second."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from eagle_logger.core.kinds import Kind
from eagle_logger.fetching.process_limits import ProcessLimits
from eagle_logger.rainforest.relay.client import RelayClient
from tests.support.certificates import Authority
from tests.support.distance import distance
from tests.support.polling import until
from tests.support.raw_relay import raw_relay, replies
from tests.unit.fetching.world import DEMAND_ONLY, HOME, World
from tests.unit.rainforest.decoding.quirks.quirk import WHOLE

ONE_WAY = 0.15


@pytest.mark.parametrize("keeps_open", [True, False])
async def test_requests_arrive_a_second_apart_from_far_away(
    tmp_path: Path, *, keeps_open: bool
) -> None:
    """The first request waits for a connection, which takes two round trips of 300 ms. The second
    does not if the relay keeps the connection open."""
    authority, arrived = Authority(), list[float]()
    bundle = authority.write(tmp_path / "ca.pem")
    answer = replies(WHOLE, "200 OK", *(() if keeps_open else ("Connection: close",)))

    async def note_arrival(writer: asyncio.StreamWriter) -> None:
        arrived.append(time.monotonic())
        await answer(writer)

    world = World(tmp_path)
    tls = authority.issue("localhost").server_context()
    async with (
        raw_relay(note_arrival, tls) as relay,
        distance(_port(relay.url), one_way=ONE_WAY) as port,
    ):
        url = relay.url.replace(str(_port(relay.url)), str(port))
        client = RelayClient(url, user_agent="test", connect_timeout=5, ca=bundle)
        first = world.worker(
            "fetch-2",
            intervals={**DEMAND_ONLY, Kind.SUMMATION: 6.0},
            limits=ProcessLimits(),
            source=client,
        )
        second = world.worker("fetch-3", limits=ProcessLimits(), source=client)
        await world.add(HOME)
        for worker in (first, second):
            await worker.run_cycle(await world.lease(HOME))
            await until(lambda: world.is_idle(HOME))
        await first.close()
    assert len(arrived) == 3
    # The gap is longer than a second; a busy machine notes an arrival a little late.
    assert min(later - earlier for earlier, later in pairwise(arrived)) >= 1.0


def _port(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port
