"""What every archive promises, whatever lies behind it."""

from __future__ import annotations

import hashlib
import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from eagle_logger.archive.archive import Archive
from eagle_logger.archive.directory import DirectoryArchive
from eagle_logger.archive.memory import MemoryArchive
from eagle_logger.core.sealing import LARGEST_OBJECT
from eagle_logger.errors import AlreadyThere, Unreadable

KEY = "cloud_id=002738/date=2026-03-10/002738-2026-03-10-17.jsonl.gz"
METADATA = {"rows": "3", "plain-sha256": "ab" * 32}


REAL_S3 = "REAL_S3_URL"
"""The variable with the endpoint of a store that others wrote. REAL_S3_BUCKET names the bucket,
AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY open it. `.ci/with-real-s3` sets them all."""
REAL = ["real_s3", "real_s3_when_required"] if os.environ.get(REAL_S3) else []


@pytest.fixture(
    params=["memory", "directory", "s3", "s3_when_required", "s3_without_prefix", *REAL]
)
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Archive:
    if request.param == "memory":
        return MemoryArchive()
    if request.param == "directory":
        return DirectoryArchive(tmp_path / "archive")
    checksums = "when_required" if request.param.endswith("when_required") else "when_supported"
    if request.param in REAL:
        return real_s3(checksums)
    s3 = request.getfixturevalue("s3")
    archive: Archive = s3.archive(
        "s3://eagle" if "without_prefix" in request.param else "s3://eagle/archive",
        checksums=checksums,
    )
    return archive


def real_s3(checksums: str) -> Archive:
    """Under a prefix that nothing was put under before."""
    from eagle_logger.archive.s3 import S3Archive

    url = f"s3://{os.environ['REAL_S3_BUCKET']}/contract-{uuid.uuid4().hex}"
    return S3Archive(url, endpoint_url=os.environ[REAL_S3], region="us-east-1", checksums=checksums)


def test_an_object_that_was_put_can_be_read(archive: Archive) -> None:
    archive.put(KEY, b"one\ntwo\n", METADATA)
    assert archive.get(KEY) == b"one\ntwo\n"
    assert list(archive.keys()) == [KEY]


def test_head_returns_size_metadata_and_the_digest_of_what_is_stored(archive: Archive) -> None:
    archive.put(KEY, b"one\ntwo\n", METADATA)
    info = archive.head(KEY)
    assert info is not None
    assert (info.size, dict(info.metadata)) == (8, METADATA)
    assert info.sha256 in {hashlib.sha256(b"one\ntwo\n").hexdigest(), None}


def test_a_second_put_replaces_nothing(archive: Archive) -> None:
    archive.put(KEY, b"first", METADATA)
    for body in (b"second", b"first"):
        with pytest.raises(AlreadyThere):
            archive.put(KEY, body, {"rows": "7"})
    info = archive.head(KEY)
    assert info is not None
    assert (archive.get(KEY), dict(info.metadata)) == (b"first", METADATA)


def test_of_many_writers_of_one_key_one_wins(archive: Archive) -> None:
    def put(number: int) -> int | None:
        try:
            archive.put(KEY, b"%d" % number, {"rows": str(number)})
        except AlreadyThere:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        winners = [number for number in pool.map(put, range(8)) if number is not None]
    info = archive.head(KEY)
    assert info is not None
    assert len(winners) == 1
    assert archive.get(KEY) == b"%d" % winners[0]
    assert info.metadata["rows"] == str(winners[0])


def test_an_object_that_was_never_put_is_missing(archive: Archive) -> None:
    assert archive.head(KEY) is None
    assert list(archive.keys()) == []
    with pytest.raises(KeyError):
        archive.get(KEY)


def test_keys_are_listed_in_order_and_by_prefix(archive: Archive) -> None:
    names = ["b/2", "a/1.x", "a/10", "a-b/3", "a/1/z", "c", "a.b/4"]
    for name in names:
        archive.put(name, b"", {})
    assert list(archive.keys()) == sorted(names)
    assert list(archive.keys("a/")) == ["a/1.x", "a/1/z", "a/10"]
    assert list(archive.keys("a/1")) == ["a/1.x", "a/1/z", "a/10"]
    assert list(archive.keys("nothing")) == []


def test_an_empty_object_is_an_object(archive: Archive) -> None:
    archive.put(KEY, b"", {})
    info = archive.head(KEY)
    assert info is not None
    assert (info.size, archive.get(KEY)) == (0, b"")


def test_an_archive_answers_a_ping(archive: Archive) -> None:
    archive.ping()
    assert list(archive.keys()) == []


def test_an_archives_url_says_where_it_is(archive: Archive) -> None:
    assert archive.url.split(":")[0] in {"memory", "file", "s3"}
    assert not archive.url.endswith("/")


def test_an_archive_proves_that_it_replaces_nothing(archive: Archive) -> None:
    archive.prove()
    archive.prove()
    assert list(archive.keys("cloud_id=")) == []
    assert not [key for key in list(archive.keys()) if key.endswith(".jsonl.gz")]


def test_many_threads_may_ask_for_the_proof_at_once(archive: Archive) -> None:
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda _: archive.prove(), range(16)):
            pass


def test_an_object_larger_than_any_of_this_program_is_not_read_and_still_has_a_head(
    archive: Archive,
) -> None:
    archive.put(KEY, bytes(LARGEST_OBJECT), METADATA)
    archive.put(KEY + "x", bytes(LARGEST_OBJECT + 1), METADATA)
    assert len(archive.get(KEY)) == LARGEST_OBJECT
    with pytest.raises(Unreadable, match="more than 16 MiB: this program did not write it"):
        archive.get(KEY + "x")
    info = archive.head(KEY + "x")
    assert info is not None
    assert info.size == LARGEST_OBJECT + 1


FILE_KEY = "parquet/v=1/date=2026-03-10/00-0.parquet"


def a_file(tmp_path: Path, content: bytes, name: str = "file") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def test_a_file_that_was_put_can_be_fetched_whole(archive: Archive, tmp_path: Path) -> None:
    content = os.urandom(3 << 20)
    archive.put_file(FILE_KEY, a_file(tmp_path, content), {"rows": "7"})
    info = archive.head(FILE_KEY)
    assert info is not None
    assert (info.size, dict(info.metadata)) == (len(content), {"rows": "7"})
    assert info.sha256 in {hashlib.sha256(content).hexdigest(), None}
    archive.get_file(FILE_KEY, tmp_path / "back", len(content))
    assert (tmp_path / "back").read_bytes() == content


def test_a_second_put_of_a_file_replaces_nothing(archive: Archive, tmp_path: Path) -> None:
    archive.put_file(FILE_KEY, a_file(tmp_path, b"first"), {})
    with pytest.raises(AlreadyThere):
        archive.put_file(FILE_KEY, a_file(tmp_path, b"second", "other"), {})
    assert archive.get(FILE_KEY) == b"first"


def test_a_file_larger_than_expected_is_not_fetched(archive: Archive, tmp_path: Path) -> None:
    archive.put_file(FILE_KEY, a_file(tmp_path, b"12345"), {})
    with pytest.raises(Unreadable):
        archive.get_file(FILE_KEY, tmp_path / "back", 4)
    with pytest.raises(KeyError):
        archive.get_file("parquet/v=1/date=2026-03-10/00-1.parquet", tmp_path / "no", 4)


def test_only_objects_of_day_tables_can_be_deleted(archive: Archive) -> None:
    archive.put(KEY, b"one", METADATA)
    archive.put(FILE_KEY, b"two", {"rows": "1"})
    with pytest.raises(ValueError, match="nothing else is ever deleted"):
        archive.delete(KEY)
    archive.delete(FILE_KEY)
    archive.delete(FILE_KEY)
    assert list(archive.keys()) == [KEY]
    assert archive.head(FILE_KEY) is None
    archive.put(FILE_KEY, b"three", {"rows": "2"})
    assert archive.get(FILE_KEY) == b"three"
