from __future__ import annotations

import pytest

from workers.up import ports
from workers.up.ports import free_port


def test_a_port_that_was_chosen_is_not_chosen_for_another_program(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted = free_port()
    offers = iter([wanted, 1])
    monkeypatch.setattr(ports, "_any_free_port", lambda: next(offers))
    assert free_port(wanted) == wanted, "its own port may be chosen again"
    assert free_port() == 1
