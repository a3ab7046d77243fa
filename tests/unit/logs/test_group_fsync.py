from __future__ import annotations

import pytest

from eagle_logger.logs.group_fsync import kernel_version


@pytest.mark.parametrize(
    ("release", "version"),
    [
        ("6.18.44-fc", (6, 18)),
        ("5.8", (5, 8)),
        ("4.19.0-5-amd64", (4, 19)),
        ("", (0, 0)),
        ("odd", (0, 0)),
    ],
)
def test_the_kernels_version_is_read_from_its_release(
    release: str, version: tuple[int, int]
) -> None:
    assert kernel_version(release) == version
