"""Which adapter the settings lead to."""

from __future__ import annotations

from pathlib import Path

import pytest

from eagle_logger import wiring
from eagle_logger.archive.directory import DirectoryArchive
from eagle_logger.archive.s3 import S3Archive
from eagle_logger.errors import ConfigurationError
from eagle_logger.settings import Settings


def test_the_archive_is_what_its_url_says(tmp_path: Path) -> None:
    assert isinstance(wiring.archive(Settings(data_dir=tmp_path)), DirectoryArchive)
    assert wiring.archive(Settings(archive_url="file:///somewhere/with%20space")).url == "file:///somewhere/with%20space"
    archive = wiring.archive(Settings(archive_url="s3://bucket/prefix"))
    assert isinstance(archive, S3Archive)
    assert archive.url == "s3://bucket/prefix"


@pytest.mark.parametrize("url", ["ftp://bucket/prefix", "s3:///prefix", "bucket/prefix"])
def test_a_url_that_came_past_the_settings_is_looked_at_again(url: str) -> None:
    with pytest.raises(ConfigurationError, match="s3://bucket/prefix"):
        wiring.archive(Settings().model_copy(update={"archive_url": url}))
