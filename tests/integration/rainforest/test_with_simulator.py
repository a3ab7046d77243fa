"""Client and simulator together: the client decodes what the simulator's ledger says was sent."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from eagle_logger.clock import Clock
from eagle_logger.core.kinds import Kind
from eagle_logger.core.line_format import value_text
from eagle_logger.core.readings import Reading
from eagle_logger.core.users import Credentials
from eagle_logger.errors import Refused
from eagle_logger.rainforest.relay.client import RelayClient
from eagle_logger.simulator.relay.homes import homes
from eagle_logger.simulator.relay.ledger import Ledger
from eagle_logger.simulator.relay.relay import RELAY_PATH, SimulatedRelay


def is_ledger_row(reading: Reading, row: dict[str, Any]) -> bool:
    head = (row.pop("device"), row.pop("meter"), row.pop("kind"), row.pop("time"))
    numbers = {
        name: Decimal(text)
        for name, text in row.items()
        if name in {"value", "delivered", "received", "price"}
    }
    return head == (reading.device, reading.meter, reading.kind, reading.time) and all(
        value_text({name: reading.values[name]}) == value_text({name: numbers.get(name, text)})
        for name, text in row.items()
    )


async def test_every_kind_of_reading_of_many_homes_is_decoded_as_it_was_sent() -> None:
    population, ledger = homes(30, 7), Ledger()
    relay = SimulatedRelay(population, ledger, seed=7, clock=Clock(), latency=0, spread=0)
    url = await relay.start() + RELAY_PATH
    client = RelayClient(url, user_agent="test", connect_timeout=5)
    decoded: list[Reading] = []
    try:
        for home in population:
            for kind in Kind:
                (reading,) = (
                    await client.ask(
                        Credentials(home.cloud_id, home.user_email, home.user_pw), kind, home.device
                    )
                ).readings
                decoded.append(reading)
        with pytest.raises(Refused):
            await client.ask(
                Credentials(population[0].cloud_id, population[0].user_email, "not it"), Kind.DEMAND
            )
        replies = [json.loads(line) for line in ledger.read(0, ledger.size()).splitlines()]
    finally:
        await client.close()
        await relay.stop()
    rows = [row for reply in replies for row in reply["readings"]]
    assert len(rows) == len(decoded) == 120
    assert all(is_ledger_row(reading, row) for reading, row in zip(decoded, rows, strict=True))
