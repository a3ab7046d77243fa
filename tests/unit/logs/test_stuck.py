from __future__ import annotations

import json
import math

import pytest

from eagle_logger.core.hours import Hour
from eagle_logger.logs.stuck import LARGEST_NOTE, StuckUserHour

HOUR = Hour.parse("2026-03-10-17")


def test_a_note_is_read_back_as_it_was_written() -> None:
    stuck = StuckUserHour.first("00ce69", HOUR, "s3://x answered InvalidObjectState", 100.5).again(
        "again", 200.0
    )
    assert StuckUserHour.from_json(stuck.to_json()) == stuck
    assert (stuck.since, stuck.tried_at, stuck.tries, stuck.reason) == (100.5, 200.0, 2, "again")


def test_a_note_with_a_long_reason_stays_small() -> None:
    for reason in ("ä" * 10_000, "\N{HOUSE BUILDING}" * 10_000):
        stuck = StuckUserHour.first("00ce69", HOUR, reason, 1e10).again(reason, 1e10)
        assert len(stuck.to_json()) < LARGEST_NOTE
        assert StuckUserHour.from_json(stuck.to_json()) == stuck


NOTE = StuckUserHour.first("00ce69", HOUR, "", 0.0)


@pytest.mark.parametrize("text", [b"", b"[]", b"\xff", b'{"v": 2}', b'{"v": 1}'], ids=repr)
def test_text_that_is_no_note_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        StuckUserHour.from_json(text)


@pytest.mark.parametrize(
    ("member", "value"), [("hour", "2026"), ("hour", 7), ("since", []), ("tries", math.inf)]
)
def test_a_note_with_a_wrong_member_is_refused(member: str, value: object) -> None:
    members = {**json.loads(NOTE.to_json()), member: value}
    with pytest.raises(ValueError, match=r"."):
        StuckUserHour.from_json(json.dumps(members).encode())
