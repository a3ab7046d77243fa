"""S3 by real boto3 against a strict stand-in: what goes wrong there, and what we make of it."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from aiohttp import web

from eagle_logger.archive.s3 import S3Archive
from eagle_logger.errors import AlreadyThere, ArchiveUnavailable, NotAccepted, Unreadable
from eagle_logger.simulator.s3 import faults
from eagle_logger.simulator.s3 import server as stand_in
from tests.support.http_proxy import HttpProxy
from tests.support.s3_server import KEY_ID, SECRET, RunningS3

KEY = "cloud_id=002738/date=2026-03-10/002738-2026-03-10-17.jsonl.gz"


CREDENTIALS = f"""
import datetime, json, uuid
ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=1)
token = uuid.uuid4().hex
keys = dict(AccessKeyId="{KEY_ID}", SecretAccessKey="{SECRET}", SessionToken=token)
print(json.dumps(dict(keys, Expiration=ends.isoformat(), Version=1)))
"""


def noted(monkeypatch: pytest.MonkeyPatch, header: str) -> list[str | None]:
    """What each request to the stand-in has in this header."""
    seen: list[str | None] = []
    address_of = stand_in.address_of

    def noting(request: web.Request) -> tuple[str, str]:
        seen.append(request.headers.get(header))
        return address_of(request)

    monkeypatch.setattr(stand_in, "address_of", noting)
    return seen


@pytest.fixture
def archive(s3: RunningS3) -> S3Archive:
    return s3.archive()


def test_objects_lie_under_bucket_prefix_and_key(s3: RunningS3) -> None:
    s3.archive("s3://eagle/some/where/").put(KEY, b"body", {})
    assert (s3.directory / "eagle" / "some" / "where" / KEY).read_bytes() == b"body"


def test_every_put_carries_a_condition_and_a_digest(s3: RunningS3, archive: S3Archive) -> None:
    archive.put(KEY, b"body", {})
    assert [put["outcome"] for put in s3.puts()] == ["stored"]
    info = archive.head(KEY)
    assert info is not None
    assert info.sha256 is not None


@pytest.mark.parametrize("fault", ["500", "503", "409", "reset"])
def test_a_failure_that_may_pass_is_tried_again(
    s3: RunningS3, archive: S3Archive, fault: str
) -> None:
    s3.misbehave({"fault": fault, "times": 2})
    archive.put(KEY, b"body", {})
    assert archive.get(KEY) == b"body"
    s3.misbehave({"fault": "503" if fault == "409" else fault, "times": 2, "methods": ["HEAD"]})
    info = archive.head(KEY)
    assert info is not None
    assert info.size == 4


@pytest.mark.parametrize("fault", ["500", "503", "409", "reset", "403"])
def test_a_failure_that_does_not_pass_is_raised_as_unavailable(
    s3: RunningS3, archive: S3Archive, fault: str
) -> None:
    s3.misbehave({"fault": fault, "methods": ["PUT", "GET", "HEAD"]})
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


def test_a_lost_answer_shows_as_already_there(s3: RunningS3, archive: S3Archive) -> None:
    s3.misbehave({"fault": "lost", "times": 1})
    with pytest.raises(AlreadyThere):
        archive.put(KEY, b"body", {})
    assert archive.get(KEY) == b"body"


def test_damage_shows_in_the_digest_of_a_store_that_computes_it_from_what_it_holds(
    s3: RunningS3, archive: S3Archive
) -> None:
    s3.misbehave({"fault": "corrupt"})
    archive.put(KEY, b"body", {})
    s3.misbehave()
    archive.put(KEY + "2", b"body", {})
    damaged, sound = archive.head(KEY), archive.head(KEY + "2")
    assert damaged is not None
    assert sound is not None
    assert damaged.sha256 != sound.sha256


def test_damage_shows_when_the_object_is_read_if_the_stores_digest_hides_it(s3: RunningS3) -> None:
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
def test_a_wrong_setting_is_named_and_no_secret_shown(
    s3: RunningS3, options: dict[str, str], advice: str
) -> None:
    with pytest.raises(ArchiveUnavailable, match=advice) as caught:
        s3.archive(**options).put(KEY, b"body", {})
    assert not {KEY_ID, SECRET, "wrong", "stranger"} & set(str(caught.value).split())


def test_a_bucket_that_does_not_exist_is_named(s3: RunningS3) -> None:
    with pytest.raises(
        ArchiveUnavailable, match=r"s3://nowhere answered NoSuchBucket: create the bucket"
    ):
        s3.archive("s3://nowhere").put(KEY, b"body", {})


def test_the_error_without_credentials_names_the_settings(
    s3: RunningS3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    archive = s3.archive(access_key_id=None, secret_access_key=None)
    with pytest.raises(ArchiveUnavailable, match="EAGLE_AWS_ACCESS_KEY_ID"):
        archive.ping()


def test_a_key_that_the_store_will_never_take_is_permanent(
    s3: RunningS3, archive: S3Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(faults.ANSWERS, "403", (400, "EntityTooLarge"))
    s3.misbehave({"fault": "403"})
    with pytest.raises(NotAccepted, match="EntityTooLarge"):
        archive.put(KEY, b"body", {})


@pytest.mark.parametrize(
    ("answer", "advice"),
    [
        ((400, "ExpiredToken"), "renew the credentials"),
        ((403, "RequestTimeTooSkewed"), "set this machine's clock"),
        ((301, "PermanentRedirect"), "EAGLE_AWS_REGION"),
        ((404, "NoSuchBucket"), "create the bucket"),
    ],
)
def test_the_error_for_a_code_says_what_to_do(
    s3: RunningS3,
    archive: S3Archive,
    monkeypatch: pytest.MonkeyPatch,
    answer: tuple[int, str],
    advice: str,
) -> None:
    monkeypatch.setitem(faults.ANSWERS, "403", answer)
    s3.misbehave({"fault": "403"})
    with pytest.raises(ArchiveUnavailable, match=advice):
        archive.put(KEY, b"body", {})


def test_a_body_that_was_changed_on_its_way_is_refused(
    s3: RunningS3, archive: S3Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = web.Request.read

    async def changed(request: web.Request) -> bytes:
        return (await read(request)).replace(b"body", b"bodx")

    monkeypatch.setattr(web.Request, "read", changed)
    with pytest.raises(ArchiveUnavailable, match="XAmzContentSHA256Mismatch"):
        archive.put(KEY, b"body", {})
    assert "stored" not in {put["outcome"] for put in s3.puts()}


def test_a_listing_of_many_pages_is_one_listing(
    s3: RunningS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eagle_logger.simulator.s3.server._KEYS_PER_PAGE", 7)
    archive = s3.archive()
    names = sorted(f"cloud_id=00000{number % 3}/{number:03}" for number in range(40))
    for name in names:
        archive.put(name, b"", {})
    assert list(archive.keys()) == names
    assert list(archive.keys("cloud_id=000001/")) == [name for name in names if "id=000001" in name]


def test_many_threads_share_an_s3_archive(s3: RunningS3) -> None:
    archive = s3.archive()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: archive.put(f"{number:03}", b"%d" % number, {}), range(64)))
    assert len(list(archive.keys())) == 64


def test_a_body_is_sent_without_asking_first(
    archive: S3Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = noted(monkeypatch, "Expect")
    archive.put(KEY, b"body", {})
    assert seen == [None]


def test_credentials_are_renewed_while_the_archive_is_used(
    s3: RunningS3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    (tmp_path / "config").write_text(
        f"[default]\ncredential_process = {sys.executable} {tmp_path / 'credentials.py'}\n"
    )
    (tmp_path / "credentials.py").write_text(CREDENTIALS)
    seen = noted(monkeypatch, "X-Amz-Security-Token")
    archive = s3.archive(access_key_id=None, secret_access_key=None)
    archive.put(KEY, b"body", {})
    assert archive.head(KEY) is not None
    assert len(seen) == 2
    assert (
        len(set(seen)) == 2
    )  # they last for a minute, and with so little left are renewed at each use


def test_a_proxy_is_used(s3: RunningS3, monkeypatch: pytest.MonkeyPatch) -> None:
    with HttpProxy(s3.url) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        archive = s3.archive(endpoint_url="http://s3.store.example")
        archive.put(KEY, b"body", {})
        assert archive.head(KEY) is not None
        assert [line.split()[:2] for line in proxy.request_lines] == [
            ["PUT", f"http://s3.store.example/eagle/archive/{KEY.replace('=', '%3D')}"],
            ["HEAD", f"http://s3.store.example/eagle/archive/{KEY.replace('=', '%3D')}"],
        ]


def test_a_stand_in_that_has_ended_is_distinguished_from_a_network_that_is_down() -> None:
    archive = S3Archive(
        "s3://eagle/x",
        endpoint_url="http://127.0.0.1:1",
        region="x",
        access_key_id="x",
        secret_access_key="x",
    )
    with pytest.raises(ArchiveUnavailable, match=r"start what should be at http://127\.0\.0\.1:1 "):
        archive.head(KEY)
