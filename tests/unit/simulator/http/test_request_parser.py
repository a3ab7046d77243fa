from __future__ import annotations

import pytest

from eagle_logger.simulator.http.request_parser import RequestHeadParser
from eagle_logger.simulator.relay.accounts import Account, Accounts
from eagle_logger.simulator.relay.homes import homes

HOME = homes(1, seed=2)[0]
CREDENTIALS = f"Cloud-Id: {HOME.cloud_id}\r\nUser: {HOME.user_email}\r\nPassword: {HOME.user_pw}"


@pytest.fixture
def heads() -> RequestHeadParser:
    return RequestHeadParser(Accounts([HOME]).authenticate)


def test_a_head_with_right_credentials_has_the_account_of_its_home(
    heads: RequestHeadParser,
) -> None:
    head = heads.read(
        f"POST /cgi-bin/post_manager HTTP/1.1\r\n{CREDENTIALS}\r\nContent-Length: 7".encode()
    )
    assert (head.method, head.path) == ("POST", "/cgi-bin/post_manager")
    assert (head.length, head.keep_alive) == (7, True)
    assert isinstance(head.account, Account)
    assert head.account.home is HOME


def test_the_same_bytes_are_parsed_once(heads: RequestHeadParser) -> None:
    raw_head = b"GET /stats?homes=all HTTP/1.1\r\nHost: x"
    assert heads.read(raw_head) is heads.read(raw_head)
    assert heads.read(raw_head).query == {"homes": "all"}


@pytest.mark.parametrize(
    ("raw_head", "keeps"),
    [
        (b"GET / HTTP/1.1", True),
        (b"GET / HTTP/1.1\r\nConnection: Close", False),
        (b"GET / HTTP/1.0", False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive", True),
    ],
)
def test_a_connection_is_kept_as_its_version_and_header_prescribe(
    heads: RequestHeadParser, raw_head: bytes, keeps: bool
) -> None:
    assert heads.read(raw_head).keep_alive is keeps


@pytest.mark.parametrize("cloud_id", [HOME.cloud_id, HOME.cloud_id.upper()])
def test_the_case_of_a_cloud_id_does_not_matter(heads: RequestHeadParser, cloud_id: str) -> None:
    headers = f"CLOUD-ID: {cloud_id}\r\nUser: {HOME.user_email}\r\nPassword: {HOME.user_pw}"
    head = heads.read(f"POST / HTTP/1.1\r\n{headers}".encode())
    assert isinstance(head.account, Account)


@pytest.mark.parametrize(
    "raw_head",
    [b"", b"GET /", b"GET / HTTP/2", b"GET / HTTP/1.1\r\nContent-Length: -1", b"\x00 \x01 \x02"],
)
def test_bytes_that_are_no_head_are_refused(heads: RequestHeadParser, raw_head: bytes) -> None:
    with pytest.raises(ValueError):
        heads.read(raw_head)
