from __future__ import annotations

from eagle_logger.users.initial_spread import LONGEST_SPREAD, first_offset


def test_one_user_alone_is_due_at_once() -> None:
    assert first_offset("00ce69", 1) == 0.0


def test_many_fall_due_evenly_and_always_at_the_same_offsets() -> None:
    ids = [f"{number:06x}" for number in range(30_000)]
    offsets = sorted(first_offset(cloud_id, len(ids)) for cloud_id in ids)
    assert offsets[0] >= 0
    assert offsets[-1] < LONGEST_SPREAD
    per_tenth = [
        sum(1 for offset in offsets if tenth <= offset * 10 < tenth + 1) for tenth in range(60)
    ]
    assert max(per_tenth) < 1.3 * 30_000 / 60
    assert first_offset("00ce69", 500) == first_offset("00ce69", 500)
