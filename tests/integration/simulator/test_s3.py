"""The stand-in for S3, by boto3's own client: as strict as the real one where it matters."""

from __future__ import annotations

import base64
import hashlib
import json
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp.test_utils import make_mocked_request
from botocore.config import Config
from botocore.exceptions import ClientError

from eagle_logger.simulator.s3.request_checks import S3Error, checked_content
from eagle_logger.simulator.s3.server import address_of
from tests.support.s3_server import KEY_ID, SECRET, RunningS3

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


def client_of(s3: RunningS3) -> S3Client:
    from boto3.session import Session

    session = Session(KEY_ID, SECRET, region_name="eu-central-1")
    return session.client(
        "s3", endpoint_url=s3.url, config=Config(retries={"total_max_attempts": 1})
    )


@pytest.fixture
def client(s3: RunningS3) -> Iterator[S3Client]:
    made = client_of(s3)
    yield made
    made.close()


def refusal(caught: pytest.ExceptionInfo[ClientError]) -> str:
    return caught.value.response["Error"]["Code"]


def put(client: S3Client, **options: Any) -> None:
    client.put_object(**{"Bucket": "eagle", "Key": "some/key", "Body": b"body", **options})


def test_boto3s_own_checksum_is_taken_and_told(client: S3Client) -> None:
    put(client)
    found = client.head_object(Bucket="eagle", Key="some/key", ChecksumMode="ENABLED")
    assert "ChecksumCRC32" in found
    assert client.get_object(Bucket="eagle", Key="some/key")["Body"].read() == b"body"


def test_a_body_in_chunks_is_put_together_and_its_trailer_checked() -> None:
    chunked = b"4\r\nbody\r\n0\r\nx-amz-checksum-crc32:%b\r\n\r\n"
    headers = {"content-encoding": "aws-chunked", "x-amz-decoded-content-length": "4"}
    right = base64.b64encode(zlib.crc32(b"body").to_bytes(4, "big"))
    assert checked_content(chunked % right, headers) == (b"body", {"crc32": right.decode()})
    with pytest.raises(S3Error, match="crc32 is not that"):
        checked_content(chunked % base64.b64encode(b"nope"), headers)
    with pytest.raises(S3Error, match="is incomplete"):
        checked_content(b"4\r\nbo", headers)


@pytest.mark.parametrize(
    "digest",
    [
        {"ChecksumSHA256": base64.b64encode(hashlib.sha256(b"other").digest()).decode()},
        {"ContentMD5": base64.b64encode(hashlib.md5(b"other").digest()).decode()},
    ],
)
def test_a_wrong_digest_is_refused_and_nothing_stored(
    client: S3Client, s3: RunningS3, digest: dict[str, str]
) -> None:
    with pytest.raises(ClientError) as caught:
        put(client, **digest)
    assert refusal(caught) == "BadDigest"
    assert [row["outcome"] for row in s3.puts()] == ["BadDigest"]
    assert not (s3.directory / "eagle" / "some" / "key").exists()


def test_if_none_match_is_obeyed_and_without_it_objects_are_replaced(
    client: S3Client, s3: RunningS3
) -> None:
    put(client, IfNoneMatch="*")
    with pytest.raises(ClientError) as caught:
        put(client, IfNoneMatch="*")
    assert refusal(caught) == "PreconditionFailed"
    put(client, Body=b"other")
    assert [row["outcome"] for row in s3.puts()] == ["stored", "PreconditionFailed", "replaced"]
    assert len({row["sha256"] for row in s3.puts()}) == 2


def test_nothing_is_ever_deleted(client: S3Client) -> None:
    put(client)
    with pytest.raises(ClientError) as caught:
        client.delete_object(Bucket="eagle", Key="some/key")
    assert refusal(caught) == "AccessDenied"


def test_a_range_is_a_range(client: S3Client) -> None:
    put(client, Body=b"0123456789")
    ranges = {"bytes=2-4": b"234", "bytes=7-": b"789", "bytes=-2": b"89"}
    for asked, found in ranges.items():
        assert (
            client.get_object(Bucket="eagle", Key="some/key", Range=asked)["Body"].read() == found
        )
    with pytest.raises(ClientError) as caught:
        client.get_object(Bucket="eagle", Key="some/key", Range="bytes=10-")
    assert refusal(caught) == "InvalidRange"


def test_folders_are_listed_with_a_delimiter(client: S3Client) -> None:
    for key in ("a/1", "a/2", "b/1", "c"):
        put(client, Key=key)
    found = client.list_objects_v2(Bucket="eagle", Delimiter="/")
    assert [one["Prefix"] for one in found["CommonPrefixes"]] == ["a/", "b/"]
    assert [one["Key"] for one in found["Contents"]] == ["c"]
    first = client.list_objects_v2(Bucket="eagle", Delimiter="/", MaxKeys=1)
    rest = client.list_objects_v2(
        Bucket="eagle", Delimiter="/", ContinuationToken=first["NextContinuationToken"]
    )
    assert [one["Prefix"] for one in rest["CommonPrefixes"]] == ["b/"]


def test_buckets_are_made_and_found(client: S3Client) -> None:
    client.create_bucket(Bucket="another")
    client.head_bucket(Bucket="another")
    assert [one["Name"] for one in client.list_buckets()["Buckets"]] == ["another", "eagle"]
    with pytest.raises(ClientError):
        client.head_bucket(Bucket="nowhere")


@pytest.mark.parametrize("host", ["eagle.localhost:9000", "eagle.s3.localhost", "127.0.0.1:9000"])
def test_a_bucket_may_stand_in_the_host_name(host: str) -> None:
    path = "/some/a%20key?x=1" if "eagle" in host else "/eagle/some/a%20key"
    assert address_of(make_mocked_request("PUT", path, headers={"Host": host})) == (
        "eagle",
        "some/a key",
    )


def test_what_was_kept_is_there_after_a_restart(s3: RunningS3, client: S3Client) -> None:
    put(client, Metadata={"rows": "3"}, IfNoneMatch="*")
    again = RunningS3(s3.directory)
    again.start()
    other = client_of(again)
    assert other.head_object(Bucket="eagle", Key="some/key")["Metadata"] == {"rows": "3"}
    with pytest.raises(ClientError):
        put(other, IfNoneMatch="*")
    other.close()
    again.stop()


def test_faults_are_changed_over_http(s3: RunningS3, client: S3Client) -> None:
    def faults(body: bytes) -> Any:
        request = urllib.request.Request(f"{s3.url}/_faults", data=body, method="PUT")
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    assert faults(b'[{"fault":"503","times":1}]')[0]["fault"] == "503"
    with pytest.raises(ClientError) as caught:
        put(client)
    assert refusal(caught) == "SlowDown"
    put(client)
    with pytest.raises(urllib.error.HTTPError) as refused:
        faults(b'[{"fault":"earthquake"}]')
    assert refused.value.code == 400
    refused.value.close()


@pytest.mark.parametrize("key", ["../outside", "a//b", ".hidden"])
def test_a_key_that_is_no_path_is_refused(client: S3Client, key: str) -> None:
    with pytest.raises(ClientError) as caught:
        put(client, Key=key)
    assert refusal(caught) == "InvalidArgument"
