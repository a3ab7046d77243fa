"""S3 by real boto3 against a strict stand-in: what goes wrong there, and what we make of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from aiohttp import web

from eagle_logger.archive.s3 import S3Archive
from eagle_logger.errors import AlreadyThere, ArchiveUnavailable, NotAccepted, Unreadable
from eagle_logger.simulator import s3 as stand_in
from eagle_logger.simulator import s3_faults
from tests.support.s3_server import KEY_ID, SECRET, RunningS3

KEY = "cloud_id=002738/date=2026-03-10/002738-2026-03-10-17.jsonl.gz"


def test_objects_lie_under_bucket_prefix_and_key(s3: RunningS3) -> None:
    s3.archive("s3://eagle/some/where/").put(KEY, b"body", {})
    assert (s3.directory / "eagle" / "some" / "where" / KEY).read_bytes() == b"body"


def test_every_put_carries_a_condition_and_a_digest(s3: RunningS3) -> None:
    s3.archive().put(KEY, b"body", {})
    assert [put["outcome"] for put in s3.puts()] == ["stored"]
    found = s3.archive().head(KEY)
    assert found is not None
    assert found.sha256 is not None


@pytest.mark.parametrize("fault", ["500", "503", "409", "reset"])
def test_what_passes_is_tried_again(s3: RunningS3, fault: str) -> None:
    s3.misbehave({"fault": fault, "times": 2})
    s3.archive().put(KEY, b"body", {})
    assert s3.archive().get(KEY) == b"body"


@pytest.mark.parametrize("fault", ["500", "503", "409", "reset", "403"])
def test_what_does_not_pass_is_said_to_be_unavailable(s3: RunningS3, fault: str) -> None:
    s3.misbehave({"fault": fault, "methods": ["PUT", "GET", "HEAD"]})
    archive = s3.archive()
    with pytest.raises(ArchiveUnavailable):
        archive.put(KEY, b"body", {})
    with pytest.raises(ArchiveUnavailable):
        archive.get(KEY)
    with pytest.raises(ArchiveUnavailable):
        archive.head(KEY)
    with pytest.raises(ArchiveUnavailable):
        list(archive.keys())
    with pytest.raises(ArchiveUnavailable):
        archive.ping()


def test_a_lost_answer_shows_as_already_there(s3: RunningS3) -> None:
    s3.misbehave({"fault": "lost", "times": 1})
    with pytest.raises(AlreadyThere):
        s3.archive().put(KEY, b"body", {})
    assert s3.archive().get(KEY) == b"body"


def test_damage_that_the_store_owns_up_to_shows_in_the_digest(s3: RunningS3) -> None:
    s3.misbehave({"fault": "corrupt"})
    archive = s3.archive()
    archive.put(KEY, b"body", {})
    s3.misbehave()
    archive.put(KEY + "2", b"body", {})
    damaged, sound = archive.head(KEY), archive.head(KEY + "2")
    assert damaged is not None
    assert sound is not None
    assert damaged.sha256 != sound.sha256


def test_damage_that_the_store_denies_shows_when_reading(s3: RunningS3) -> None:
    s3.misbehave({"fault": "lie"})
    archive = s3.archive()
    archive.put(KEY, b"body", {})
    with pytest.raises(Unreadable):
        archive.get(KEY)


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"secret_access_key": "wrong"}, "EAGLE_AWS_SECRET_ACCESS_KEY"),
        ({"access_key_id": "stranger"}, "EAGLE_AWS_ACCESS_KEY_ID"),
        ({"endpoint_url": "http://127.0.0.1:9"}, "EAGLE_S3_ENDPOINT_URL"),
    ],
)
def test_a_wrong_setting_is_named_and_no_secret_shown(s3: RunningS3, options: dict[str, str], advice: str) -> None:
    with pytest.raises(ArchiveUnavailable, match=advice) as caught:
        s3.archive(**options).put(KEY, b"body", {})
    assert not {KEY_ID, SECRET, "wrong", "stranger"} & set(str(caught.value).split())


def test_a_bucket_that_does_not_exist_is_named(s3: RunningS3) -> None:
    with pytest.raises(ArchiveUnavailable, match=r"s3://nowhere answered NoSuchBucket: create the bucket"):
        s3.archive("s3://nowhere").put(KEY, b"body", {})


def test_without_credentials_it_says_which_to_give(s3: RunningS3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    archive = s3.archive(access_key_id=None, secret_access_key=None)
    with pytest.raises(ArchiveUnavailable, match="EAGLE_AWS_ACCESS_KEY_ID"):
        archive.ping()


def test_a_key_that_the_store_will_never_take_is_permanent(s3: RunningS3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(s3_faults.ANSWERS, "403", (400, "EntityTooLarge"))
    s3.misbehave({"fault": "403"})
    with pytest.raises(NotAccepted, match="EntityTooLarge"):
        s3.archive().put(KEY, b"body", {})


def test_a_listing_of_many_pages_is_one_listing(s3: RunningS3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eagle_logger.simulator.s3._PAGE", 7)
    archive = s3.archive()
    names = sorted(f"cloud_id=00000{number % 3}/{number:03}" for number in range(40))
    for name in names:
        archive.put(name, b"", {})
    assert list(archive.keys()) == names
    assert list(archive.keys("cloud_id=000001/")) == [name for name in names if "id=000001" in name]


def test_many_threads_share_it(s3: RunningS3) -> None:
    archive = s3.archive()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: archive.put(f"{number:03}", b"%d" % number, {}), range(64)))
    assert len(list(archive.keys())) == 64


def test_a_body_is_sent_without_asking_first(s3: RunningS3, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []
    address_of = stand_in.address_of

    def noting(request: web.Request) -> tuple[str, str]:
        seen.append(request.headers.get("Expect"))
        return address_of(request)

    monkeypatch.setattr(stand_in, "address_of", noting)
    s3.archive().put(KEY, b"body", {})
    assert seen == [None]


def test_a_stand_in_that_has_ended_is_told_from_a_network_that_is_down() -> None:
    archive = S3Archive("s3://eagle/x", endpoint_url="http://127.0.0.1:1", region="x", access_key_id="x", secret_access_key="x")
    with pytest.raises(ArchiveUnavailable, match=r"start what should be at http://127\.0\.0\.1:1 "):
        archive.head(KEY)
