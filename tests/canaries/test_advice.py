from __future__ import annotations

import pytest

from tests.canaries.advice import advice_of


def test_a_failing_canary_shows_the_header_of_the_module_that_relies_on_the_part() -> None:
    with (
        pytest.raises(AssertionError, match=r"ClientSession") as raised,
        advice_of("eagle_logger/rainforest/relay/connections.py"),
    ):
        raise AttributeError("set_response_params")
    assert isinstance(raised.value.__cause__, AttributeError)


def test_a_header_without_advice_is_a_mistake() -> None:
    with (
        pytest.raises(AssertionError, match=r"gives no advice"),
        advice_of("eagle_logger/errors.py"),
    ):
        pass
