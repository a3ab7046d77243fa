"""Which adapter the settings lead to."""

from __future__ import annotations

from pathlib import Path

import pytest

from eagle_logger import wiring
from eagle_logger.archive.trusted import TrustedArchive
from eagle_logger.errors import ConfigurationError
from eagle_logger.settings import Settings


def test_the_archive_is_what_its_url_says(tmp_path: Path) -> None:
    assert wiring.archive(Settings(data_dir=tmp_path)).url == (tmp_path / "archive").as_uri()
    assert (
        wiring.archive(Settings(archive_url="file:///somewhere/with%20space")).url
        == "file:///somewhere/with%20space"
    )
    assert wiring.archive(Settings(archive_url="s3://bucket/prefix")).url == "s3://bucket/prefix"


@pytest.mark.parametrize("url", ["file:///somewhere", "s3://bucket/prefix"])
def test_nothing_is_put_anywhere_before_the_proof(url: str) -> None:
    assert isinstance(wiring.archive(Settings(archive_url=url)), TrustedArchive)


@pytest.mark.parametrize("url", ["ftp://bucket/prefix", "s3:///prefix", "bucket/prefix"])
def test_a_url_that_came_past_the_settings_is_looked_at_again(url: str) -> None:
    with pytest.raises(ConfigurationError, match="s3://bucket/prefix"):
        wiring.archive(Settings().model_copy(update={"archive_url": url}))
