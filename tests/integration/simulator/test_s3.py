"""The stand-in for S3, asked by boto3's own client. It is as strict as S3 where that matters."""

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
    client = client_of(s3)
    yield client
    client.close()


def error_code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return error.value.response["Error"]["Code"]


def put(client: S3Client, **options: Any) -> None:
    client.put_object(**{"Bucket": "eagle", "Key": "some/key", "Body": b"body", **options})


def test_the_checksum_that_boto3_sends_is_kept_and_sent_back(client: S3Client) -> None:
    put(client)
    head = client.head_object(Bucket="eagle", Key="some/key", ChecksumMode="ENABLED")
    assert "ChecksumCRC32" in head
    assert client.get_object(Bucket="eagle", Key="some/key")["Body"].read() == b"body"


def test_a_body_in_chunks_is_joined_and_the_checksum_in_its_trailer_is_checked() -> None:
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
def test_an_object_with_a_wrong_digest_is_refused_and_not_stored(
    client: S3Client, s3: RunningS3, digest: dict[str, str]
) -> None:
    with pytest.raises(ClientError) as error:
        put(client, **digest)
    assert error_code(error) == "BadDigest"
    assert [row["outcome"] for row in s3.puts()] == ["BadDigest"]
    assert not (s3.directory / "eagle" / "some" / "key").exists()


def test_an_object_is_replaced_unless_the_put_has_if_none_match(
    client: S3Client, s3: RunningS3
) -> None:
    put(client, IfNoneMatch="*")
    with pytest.raises(ClientError) as error:
        put(client, IfNoneMatch="*")
    assert error_code(error) == "PreconditionFailed"
    put(client, Body=b"other")
    assert [row["outcome"] for row in s3.puts()] == ["stored", "PreconditionFailed", "replaced"]
    assert len({row["sha256"] for row in s3.puts()}) == 2


def test_a_delete_is_refused(client: S3Client) -> None:
    put(client)
    with pytest.raises(ClientError) as error:
        client.delete_object(Bucket="eagle", Key="some/key")
    assert error_code(error) == "AccessDenied"


def test_a_get_with_a_range_returns_that_range(client: S3Client) -> None:
    put(client, Body=b"0123456789")
    ranges = {"bytes=2-4": b"234", "bytes=7-": b"789", "bytes=-2": b"89"}
    for header, body in ranges.items():
        answer = client.get_object(Bucket="eagle", Key="some/key", Range=header)
        assert answer["Body"].read() == body
    with pytest.raises(ClientError) as error:
        client.get_object(Bucket="eagle", Key="some/key", Range="bytes=10-")
    assert error_code(error) == "InvalidRange"


def test_a_listing_with_a_delimiter_has_folders_page_by_page(client: S3Client) -> None:
    for key in ("a/1", "a/2", "b/1", "c"):
        put(client, Key=key)
    listing = client.list_objects_v2(Bucket="eagle", Delimiter="/")
    assert [folder["Prefix"] for folder in listing["CommonPrefixes"]] == ["a/", "b/"]
    assert [item["Key"] for item in listing["Contents"]] == ["c"]
    first_page = client.list_objects_v2(Bucket="eagle", Delimiter="/", MaxKeys=1)
    token = first_page["NextContinuationToken"]
    rest = client.list_objects_v2(Bucket="eagle", Delimiter="/", ContinuationToken=token)
    assert [folder["Prefix"] for folder in rest["CommonPrefixes"]] == ["b/"]


def test_a_created_bucket_is_listed(client: S3Client) -> None:
    client.create_bucket(Bucket="another")
    client.head_bucket(Bucket="another")
    assert [bucket["Name"] for bucket in client.list_buckets()["Buckets"]] == ["another", "eagle"]
    with pytest.raises(ClientError):
        client.head_bucket(Bucket="nowhere")


@pytest.mark.parametrize("host", ["eagle.localhost:9000", "eagle.s3.localhost", "127.0.0.1:9000"])
def test_the_bucket_is_in_the_path_or_in_the_host_name(host: str) -> None:
    path = "/some/a%20key?x=1" if "eagle" in host else "/eagle/some/a%20key"
    assert address_of(make_mocked_request("PUT", path, headers={"Host": host})) == (
        "eagle",
        "some/a key",
    )


def test_objects_and_their_metadata_survive_a_restart(s3: RunningS3, client: S3Client) -> None:
    put(client, Metadata={"rows": "3"}, IfNoneMatch="*")
    restarted = RunningS3(s3.directory)
    restarted.start()
    new_client = client_of(restarted)
    assert new_client.head_object(Bucket="eagle", Key="some/key")["Metadata"] == {"rows": "3"}
    with pytest.raises(ClientError):
        put(new_client, IfNoneMatch="*")
    new_client.close()
    restarted.stop()


def test_faults_are_changed_over_http(s3: RunningS3, client: S3Client) -> None:
    def put_faults(body: bytes) -> Any:
        request = urllib.request.Request(f"{s3.url}/_faults", data=body, method="PUT")
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    assert put_faults(b'[{"fault":"503","times":1}]')[0]["fault"] == "503"
    with pytest.raises(ClientError) as error:
        put(client)
    assert error_code(error) == "SlowDown"
    put(client)
    with pytest.raises(urllib.error.HTTPError) as http_error:
        put_faults(b'[{"fault":"earthquake"}]')
    assert http_error.value.code == 400
    http_error.value.close()


@pytest.mark.parametrize("key", ["../outside", "a//b", ".hidden"])
def test_a_key_that_cannot_be_a_file_is_refused(client: S3Client, key: str) -> None:
    with pytest.raises(ClientError) as error:
        put(client, Key=key)
    assert error_code(error) == "InvalidArgument"
