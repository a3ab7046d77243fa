from __future__ import annotations

from decimal import Decimal

import pytest

from eagle_logger.cli.read import values_in_words
from eagle_logger.core.kinds import Kind, kind_of
from eagle_logger.core.line_format import encode_line, parse_line
from eagle_logger.core.readings import Reading, Value


@pytest.mark.parametrize(
    ("kind", "values", "words"),
    [
        (Kind.DEMAND, {"value": Decimal("10.0"), "unit": "kW"}, "10 kW"),
        (
            Kind.SUMMATION,
            {"delivered": Decimal("22.5"), "received": None, "unit": "kWh"},
            "22.5 in, - out kWh",
        ),
        (
            Kind.PRICE,
            {"price": Decimal("0.12"), "unit": "USD/kWh", "tier": 2, "label": "Peak {}"},
            "0.12 USD/kWh Peak {}",
        ),
        (Kind.PRICE, {"price": Decimal("0.12"), "unit": None, "label": None}, "0.12"),
        (Kind.MESSAGE, {"id": "0x1", "text": "Save energy"}, "Save energy"),
        (kind_of("weather"), {"sky": "grey"}, '"sky":"grey"'),
    ],
)
def test_the_values_of_each_kind_are_put_into_words(
    kind: Kind, values: dict[str, Value], words: str
) -> None:
    line = encode_line("00ce69", Reading("", "", kind, 1_773_162_000, values, {}), 1_773_162_005)
    assert values_in_words(parse_line(line.rstrip())) == words
