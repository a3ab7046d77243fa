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


def test_a_head_says_whom_it_speaks_for(heads: RequestHeadParser) -> None:
    head = heads.read(
        f"POST /cgi-bin/post_manager HTTP/1.1\r\n{CREDENTIALS}\r\nContent-Length: 7".encode()
    )
    assert (head.method, head.path, head.length, head.keep_alive) == (
        "POST",
        "/cgi-bin/post_manager",
        7,
        True,
    )
    assert isinstance(head.account, Account)
    assert head.account.home is HOME


def test_the_same_bytes_are_understood_once(heads: RequestHeadParser) -> None:
    text = b"GET /stats?homes=all HTTP/1.1\r\nHost: x"
    assert heads.read(text) is heads.read(text)
    assert heads.read(text).query == {"homes": "all"}


@pytest.mark.parametrize(
    ("text", "keeps"),
    [
        (b"GET / HTTP/1.1", True),
        (b"GET / HTTP/1.1\r\nConnection: Close", False),
        (b"GET / HTTP/1.0", False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive", True),
    ],
)
def test_how_long_a_connection_is_kept(heads: RequestHeadParser, text: bytes, keeps: bool) -> None:
    assert heads.read(text).keep_alive is keeps


@pytest.mark.parametrize("cloud_id", [HOME.cloud_id, HOME.cloud_id.upper()])
def test_case_of_a_cloud_id_does_not_matter(heads: RequestHeadParser, cloud_id: str) -> None:
    text = f"POST / HTTP/1.1\r\nCLOUD-ID: {cloud_id}\r\nUser: {HOME.user_email}\r\nPassword: {HOME.user_pw}"
    assert isinstance(heads.read(text.encode()).account, Account)


@pytest.mark.parametrize(
    "text",
    [b"", b"GET /", b"GET / HTTP/2", b"GET / HTTP/1.1\r\nContent-Length: -1", b"\x00 \x01 \x02"],
)
def test_what_is_no_head(heads: RequestHeadParser, text: bytes) -> None:
    with pytest.raises(ValueError):
        heads.read(text)
