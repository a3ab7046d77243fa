from __future__ import annotations

import json
from dataclasses import replace

import pytest

from eagle_logger.cli.status import _json, _state, _totals
from eagle_logger.status import Status, UserStatus, user_status
from eagle_logger.users.store import Outline, Totals

NOW = 1_773_162_100.0


@pytest.mark.parametrize("word", ["plain", "Zähler \x1b[2J\u2028", "half a character: \ud83d"])
def test_whatever_a_gateway_made_up_is_told_as_json(word: str) -> None:
    users = [
        user_status(Outline("00ce69", 7, int(NOW) - 60, (int(NOW) // 600, 3, 4), 2, word, word, NOW + 6, None), NOW),
        user_status(Outline("00ce70", 0, None, (), 0, None, None, None, NOW + 20), NOW),
    ]
    found = Status("now", Totals(2, 1, 0, 0, 1, None), users, {"dispatch": 1}, [], [], {}, {}, {}, "closed")
    told = json.loads(_json(found))
    assert told == found.as_json()
    assert told["users"][0] == {
        "cloud_id": "00ce69",
        "last_reading": "2026-03-10T17:00:40Z",
        "age": 60.0,
        "readings_last_hour": 7,
        "readings_total": 7,
        "failures": 2,
        "last_error": word,
        "next_due": "2026-03-10T17:01:46Z",
        "leased": False,
        "why_not": word,
    }
    assert told["users"][1]["leased"] is True


def test_clocks_that_are_wrong_are_named() -> None:
    clocks = {"beat": 0.4, "fetch-1": 25.04, "fetch-2": -3600.0}
    found = Status("now", Totals(0, 0, 0, 0, 0, None), [], {}, [], [], {}, clocks, {}, "closed")
    line = "clocks that are wrong: fetch-1 is 25.0 s ahead of Redis, fetch-2 is 3600.0 s behind Redis (set them, with NTP)"
    assert line in _totals(found)
    assert not any("clock" in one for one in _totals(replace(found, clocks_ahead={"beat": 0.4})))


def test_a_user_whose_state_cannot_be_read_is_shown_as_such() -> None:
    user = UserStatus("00ce69", None, None, 0, 0, 0, "the state cannot be read: it is cut off", None, False, None)
    assert _state(user) == "the state cannot be read: it is cut off"
