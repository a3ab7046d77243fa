"""The keys and proofs of the files that say what is missing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_logger.core.gap_files import (
    GapFile,
    GapManifest,
    gap_files_prefix,
    gap_manifests_prefix,
    made_from,
    share_homes,
)
from eagle_logger.core.table_names import Day, TableFile, bucket_of, ensure_deletable
from eagle_logger.core.table_plan import TableManifest

DAY = Day("2026-03-10")
FILE = GapFile(DAY, 7, 12)
MANIFEST = GapManifest(FILE, "ab" * 32, 48, 9000, "cd" * 32, "1.2.3")


def test_the_keys_of_a_file() -> None:
    assert FILE.key == "parquet/gaps/v=1/date=2026-03-10/07-12.parquet"
    assert FILE.manifest_key == "parquet/gaps/v=1/_manifest/date=2026-03-10/07-12.json"
    assert FILE.key.startswith(gap_files_prefix(DAY))
    assert FILE.manifest_key.startswith(gap_manifests_prefix(DAY))
    for key in (FILE.key, FILE.manifest_key):
        assert GapFile.parse(key) == FILE
        assert TableFile.parse(key) is None
        ensure_deletable(key)


@pytest.mark.parametrize(
    "key",
    [
        "",
        TableFile(DAY, 7, 12).key,
        "parquet/gaps/v=1/date=2026-13-10/07-12.parquet",
        "parquet/gaps/v=1/_manifest/date=2026-03-10/07-12.parquet",
        "parquet/gaps/v=1/date=2026-03-10/07-012.parquet",
        "parquet/gaps/v=2/date=2026-03-10/07-12.parquet",
    ],
)
def test_other_keys_name_no_file(key: str) -> None:
    assert GapFile.parse(key) is None


def test_a_manifest_is_read_back() -> None:
    assert GapManifest.from_bytes(MANIFEST.to_bytes(), FILE) == MANIFEST


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"7", b"{}", MANIFEST.to_bytes().replace(b'"number": 12', b'"number": 13')]
)
def test_anything_else_is_no_manifest(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        GapManifest.from_bytes(body, FILE)


@given(st.text(max_size=8), st.integers(1, 64), st.integers(1, 64))
def test_a_homes_buckets_of_two_days_share_homes(home: str, buckets: int, others: int) -> None:
    assert share_homes(bucket_of(home, buckets), buckets, bucket_of(home, others), others)


def test_buckets_of_different_remainders_share_none() -> None:
    assert [other for other in range(8) if share_homes(1, 4, other, 8)] == [1, 5]
    assert [other for other in range(2) if share_homes(3, 4, other, 2)] == [1]


def test_a_file_is_made_from_its_tables_and_the_index_in_any_order() -> None:
    tables = [TableManifest(TableFile(DAY, 0, number), {}, 1, f"{number}") for number in range(2)]
    made = made_from(tables, ["a", "b"])
    assert made_from(reversed(tables), ["b", "a"]) == made
    assert made not in (
        made_from(tables[:1], ["a", "b"]),
        made_from(tables, ["a"]),
        made_from([*tables[:1], TableManifest(tables[1].file, {}, 1, "other")], ["a", "b"]),
    )
