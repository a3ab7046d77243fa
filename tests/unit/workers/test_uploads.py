from __future__ import annotations

from eagle_logger.rotation.rotation_result import RotationResult
from workers.tasks import _uploads


def test_what_one_home_alone_is_in_trouble_with_is_no_failed_upload() -> None:
    rotated = RotationResult(
        objects=7, stuck=2, errors={"00ce69": "its own", "00ce70": "its own", "00ce71": "away"}
    )
    assert _uploads(rotated) == {"uploads_done": 7, "uploads_failed": 1, "uploads_stuck": 2}
