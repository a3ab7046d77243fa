from __future__ import annotations

from eagle_logger.rotation.rotation_result import RotationResult
from workers.tasks import upload_counts


def test_stuck_hours_of_single_homes_are_not_counted_as_failed_uploads() -> None:
    rotated = RotationResult(
        objects=7, stuck=2, errors={"00ce69": "its own", "00ce70": "its own", "00ce71": "away"}
    )
    assert upload_counts(rotated) == {"uploads_done": 7, "uploads_failed": 1, "uploads_stuck": 2}
