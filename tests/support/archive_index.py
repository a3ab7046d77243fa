"""What an archive's index says, and what it should say."""

from __future__ import annotations

from eagle_logger.archive.archive import Archive
from eagle_logger.archive.index_reading import index_of
from eagle_logger.core.archive_index import IndexEntry
from eagle_logger.core.hours import Hour
from eagle_logger.core.paths import parse_archive_key
from tests.support.log_lines import HOUR


def entries_said(archive: Archive, hour: Hour = HOUR) -> list[IndexEntry]:
    """All entries of an hour, by key; an entry that stands twice is here twice."""
    index = index_of(archive, hour)
    assert index.unreadable == {}
    return sorted(entry for part in index.parts for entry in part.entries)


def entries_held(archive: Archive, hour: Hour = HOUR) -> list[IndexEntry]:
    """What the index should say of the hour's objects."""
    entries = []
    for key in archive.keys("cloud_id="):
        named, info = parse_archive_key(key), archive.head(key)
        assert named is not None
        assert info is not None
        if named[1] == hour:
            entries.append(IndexEntry.from_metadata(key, info.size, info.metadata))
    return sorted(entries)


def hours_in(archive: Archive) -> set[Hour]:
    """The hours of which the archive has objects."""
    named = map(parse_archive_key, archive.keys("cloud_id="))
    return {name[1] for name in named if name is not None}
