"""Which archive the settings choose."""

from __future__ import annotations

from pathlib import Path

import pytest

from eagle_logger import wiring
from eagle_logger.archive.trusted import TrustedArchive
from eagle_logger.errors import ConfigurationError
from eagle_logger.settings import Settings


def test_the_scheme_of_its_url_chooses_the_archive(tmp_path: Path) -> None:
    assert wiring.archive(Settings(data_dir=tmp_path)).url == (tmp_path / "archive").as_uri()
    assert (
        wiring.archive(Settings(archive_url="file:///somewhere/with%20space")).url
        == "file:///somewhere/with%20space"
    )
    assert wiring.archive(Settings(archive_url="s3://bucket/prefix")).url == "s3://bucket/prefix"


@pytest.mark.parametrize("url", ["file:///somewhere", "s3://bucket/prefix"])
def test_every_archive_must_prove_that_it_replaces_no_object(url: str) -> None:
    assert isinstance(wiring.archive(Settings(archive_url=url)), TrustedArchive)


@pytest.mark.parametrize("url", ["ftp://bucket/prefix", "s3:///prefix", "bucket/prefix"])
def test_an_archive_url_that_the_settings_did_not_check_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="s3://bucket/prefix"):
        wiring.archive(Settings().model_copy(update={"archive_url": url}))
