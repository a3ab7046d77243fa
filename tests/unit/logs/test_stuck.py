from __future__ import annotations

import pytest

from eagle_logger.core.hours import Hour
from eagle_logger.logs.stuck import MOST_BYTES, StuckUserHour

HOUR = Hour.parse("2026-03-10-17")


def test_a_note_comes_back_as_it_was_written() -> None:
    stuck = StuckUserHour.first("00ce69", HOUR, "s3://x answered InvalidObjectState", 100.5).again(
        "again", 200.0
    )
    assert StuckUserHour.from_json(stuck.to_json()) == stuck
    assert (stuck.since, stuck.tried_at, stuck.tries, stuck.reason) == (100.5, 200.0, 2, "again")


def test_a_note_stays_small_whatever_the_reason() -> None:
    for reason in ("ä" * 10_000, "\N{HOUSE BUILDING}" * 10_000):
        stuck = StuckUserHour.first("00ce69", HOUR, reason, 1e10).again(reason, 1e10)
        assert len(stuck.to_json()) < MOST_BYTES
        assert StuckUserHour.from_json(stuck.to_json()) == stuck


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"v": 2}',
        b'{"v": 1}',
        b'{"v": 1, "cloud_id": "00ce69", "hour": "2026", "since": 0, "tried_at": 0, "tries": 1, "reason": ""}',
        b'{"v": 1, "cloud_id": "00ce69", "hour": 7, "since": 0, "tried_at": 0, "tries": 1, "reason": ""}',
        b'{"v": 1, "cloud_id": "00ce69", "hour": "2026-03-10-17", "since": [], "tried_at": 0, "tries": 1, "reason": ""}',
        b'{"v": 1, "cloud_id": "00ce69", "hour": "2026-03-10-17", "since": 0, "tried_at": 0, "tries": 1e999, "reason": ""}',
    ],
)
def test_text_that_is_no_note_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        StuckUserHour.from_json(text)
