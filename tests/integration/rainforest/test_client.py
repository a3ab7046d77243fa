"""The relay client against a relay that sends exactly the bytes that a test gives it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from eagle_logger.core.kinds import Kind
from eagle_logger.core.users import Credentials
from eagle_logger.errors import ConfigurationError, Refused, RelayUnavailable
from eagle_logger.rainforest.relay.client import RelayClient
from eagle_logger.rainforest.source import Decoded, UnreadableReply
from tests.support.certificates import Authority
from tests.support.polling import until
from tests.support.raw_relay import RawRelay, hangs_up, raw_relay, replies, says
from tests.unit.rainforest.decoding.quirks.quirk import WHOLE

JANE = Credentials("00ce69", "jane@example.org", "made-up words")
Make = Callable[..., RelayClient]


@pytest.fixture
async def make_client() -> AsyncIterator[Make]:
    """Makes clients, and closes them."""
    made: list[RelayClient] = []

    def make(
        relay: RawRelay | str, *, connect_timeout: float = 5, ca: Path | None = None
    ) -> RelayClient:
        url = relay if isinstance(relay, str) else relay.url
        client = RelayClient(
            url,
            user_agent="eagle-logger/0.1.0 fetch-1/4711",
            connect_timeout=connect_timeout,
            ca=ca,
        )
        made.append(client)
        return client

    yield make
    for client in made:
        await client.close()


async def reason_of(request: Awaitable[Decoded]) -> str:
    """The reason why the relay is unavailable to this request."""
    with pytest.raises(RelayUnavailable) as raised:
        await request
    return raised.value.reason


def value_of(decoded: Decoded) -> object:
    (reading,) = decoded.readings
    return reading.values["value"]


async def test_a_request_has_the_headers_and_the_body_of_the_manual(make_client: Make) -> None:
    async with raw_relay(replies(WHOLE)) as relay:
        assert value_of(
            await make_client(relay).ask(JANE, Kind.DEMAND, "0xd8d5b9000000abcd")
        ) == Decimal("0.944")
    head, _, body = relay.requests[0].partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert first == "POST /cgi-bin/post_manager HTTP/1.1"
    assert headers["Cloud-Id"] == "00ce69"
    assert headers["User"] == "jane@example.org"
    assert headers["Password"] == "made-up words"
    assert headers["Content-Type"] == "text/xml"
    assert headers["User-Agent"] == "eagle-logger/0.1.0 fetch-1/4711"
    assert headers["Accept-Encoding"] == "identity"
    assert int(headers["Content-Length"]) == len(body)
    assert "Authorization" not in headers
    inner = b"<Name>get_instantaneous_demand</Name><MacId>0xd8d5b9000000abcd</MacId>"
    assert body == b"<Command>" + inner + b"</Command>"


async def test_one_connection_serves_one_request_after_the_other(make_client: Make) -> None:
    async with raw_relay(replies(WHOLE)) as relay:
        client = make_client(relay)
        for kind in Kind:
            await client.ask(JANE, kind)
        assert (relay.connections, len(relay.requests)) == (1, 4)


async def test_a_relay_that_closes_after_each_reply_is_connected_to_again(
    make_client: Make,
) -> None:
    async with raw_relay(replies(WHOLE, "200 OK", "Connection: close")) as relay:
        client = make_client(relay)
        for _ in range(3):
            await client.ask(JANE, Kind.DEMAND)
        assert relay.connections == 3


@pytest.mark.parametrize(
    "pieces",
    [
        [
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"%x\r\n%b\r\n0\r\n\r\n" % (len(WHOLE), WHOLE)
        ],
        [
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            *(b"1\r\n%c\r\n" % byte for byte in WHOLE),
            b"0\r\n\r\n",
        ],
        [b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n" + WHOLE],
        [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", WHOLE[:50], WHOLE[50:]],
        [
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
            % len(WHOLE),
            WHOLE,
        ],
    ],
    ids=["chunked", "a chunk a byte", "HTTP/1.0", "ends with the connection", "100 first"],
)
async def test_a_body_is_read_however_it_is_framed(make_client: Make, pieces: list[bytes]) -> None:
    async with raw_relay(hangs_up(*pieces)) as relay:
        assert value_of(await make_client(relay).ask(JANE, Kind.DEMAND)) == Decimal("0.944")


async def test_an_error_status_raises_the_error_that_says_what_to_do(make_client: Make) -> None:
    async with raw_relay(replies(b"", "429 Too Many Requests", "Retry-After: 30")) as relay:
        client = make_client(relay)
        with pytest.raises(RelayUnavailable) as raised:
            await client.ask(JANE, Kind.DEMAND)
        assert (raised.value.reason, raised.value.retry_after) == ("busy", 30)
        relay.answer = replies(b"Wrong User or Password: made-up words", "401 Unauthorized")
        with pytest.raises(Refused) as refused:
            await client.ask(JANE, Kind.DEMAND)
        assert JANE.user_pw not in str(refused.value)
        relay.answer = replies(b"")
        assert await reason_of(client.ask(JANE, Kind.DEMAND)) == "empty"


async def test_no_redirect_is_followed_and_no_cookie_kept(make_client: Make) -> None:
    async with raw_relay(replies(WHOLE)) as elsewhere:
        async with raw_relay(
            replies(
                b"",
                "307 Temporary Redirect",
                f"Location: {elsewhere.url}",
                "Set-Cookie: a=b; Path=/",
            )
        ) as relay:
            client = make_client(relay)
            for _ in range(2):
                assert await reason_of(client.ask(JANE, Kind.DEMAND)) == "redirected"
        assert elsewhere.requests == []
        assert b"cookie" not in relay.requests[1].lower()


@pytest.mark.parametrize(
    "answer",
    [
        hangs_up(),
        hangs_up(b"HTTP/1.1 200 OK\r\nContent-Le"),
        hangs_up(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + WHOLE),
        hangs_up(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n<Inst"),
        hangs_up(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n<Inst"),
        hangs_up(b"SSH-2.0-OpenSSH_9.6\r\n"),
        hangs_up(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"),
        hangs_up(b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 5_000 + b"\r\n"),
    ],
    ids=[
        "nothing",
        "half a head",
        "half a body",
        "half a chunk",
        "no chunk",
        "no HTTP",
        "a header too long",
        "too many headers",
    ],
)
async def test_a_reply_that_is_not_whole_is_a_connection_error(
    make_client: Make, answer: Callable[..., Awaitable[None]]
) -> None:
    async with raw_relay(answer) as relay:
        assert await reason_of(make_client(relay).ask(JANE, Kind.DEMAND)) == "connection"
        assert len(relay.requests) == 1


@pytest.mark.parametrize(
    "echo", [b"HTTP/1.1 200 OK\r\nPassword made-up words\r\n\r\n", b"made-up words\r\n\r\n"]
)
async def test_the_error_for_a_broken_reply_does_not_show_the_password_that_it_echoes(
    make_client: Make, echo: bytes
) -> None:
    async with raw_relay(hangs_up(echo)) as relay:
        with pytest.raises(RelayUnavailable) as raised:
            await make_client(relay).ask(JANE, Kind.DEMAND)
    assert "made-up" not in "".join(traceback.format_exception(raised.value))
    assert "made-up" not in str(raised.value)


async def test_a_relay_that_does_not_listen_is_a_connection_error(make_client: Make) -> None:
    async with raw_relay(replies(WHOLE)) as relay:
        pass
    assert await reason_of(make_client(relay).ask(JANE, Kind.DEMAND)) == "connection"


async def passes_the_deadline(client: RelayClient, relay: RawRelay) -> None:
    """Ask; once the relay has the request, the caller's deadline passes."""
    asking = asyncio.create_task(client.ask(JANE, Kind.DEMAND))
    await until(relay.asked.is_set)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await asking


async def test_the_callers_deadline_ends_a_silent_request(make_client: Make) -> None:
    async with raw_relay(says()) as relay:
        await passes_the_deadline(make_client(relay), relay)
        await until(relay.all_closed.is_set)


async def test_the_connect_timeout_ends_a_handshake_that_gets_no_answer(make_client: Make) -> None:
    async with raw_relay(says()) as relay:
        deaf = relay.url.replace("http:", "https:")
        assert (
            await reason_of(make_client(deaf, connect_timeout=0.05).ask(JANE, Kind.DEMAND))
            == "timed_out"
        )


async def test_the_callers_deadline_ends_a_reply_that_comes_byte_by_byte(make_client: Make) -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"<")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with raw_relay(drip) as relay:
        client = make_client(relay)
        await passes_the_deadline(client, relay)
        await until(relay.all_closed.is_set)
        relay.answer = replies(WHOLE)
        assert (await client.ask(JANE, Kind.DEMAND)).known


async def test_an_endless_body_is_not_read_to_its_end(make_client: Make) -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<Password>made-up words ")
        with contextlib.suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b"x" * 65536)
                await writer.drain()

    async with raw_relay(endless) as relay:
        with pytest.raises(UnreadableReply) as raised:
            await make_client(relay).ask(JANE, Kind.DEMAND)
        assert raised.value.problem.what == "too_large"
        assert JANE.user_pw not in raised.value.problem.sample
        await until(relay.all_closed.is_set)


async def test_a_whole_notification_at_the_beginning_of_a_huge_body_counts(
    make_client: Make,
) -> None:
    async with raw_relay(replies(WHOLE + b" " * (1 << 20))) as relay:
        decoded = await make_client(relay).ask(JANE, Kind.DEMAND)
        assert len(decoded.readings) == 1
        assert [problem.what for problem in decoded.problems] == ["too_large"]
        await until(relay.all_closed.is_set)


async def test_interim_heads_without_end_are_a_connection_error(make_client: Make) -> None:
    async def hesitant(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)
        await writer.drain()

    async with raw_relay(hesitant) as relay:
        assert await reason_of(make_client(relay).ask(JANE, Kind.DEMAND)) == "connection"


async def test_a_compressed_body_is_not_decompressed(make_client: Make) -> None:
    async with raw_relay(
        replies(b"\x1f\x8b\x08\x00" + b"\x00" * 60, "200 OK", "Content-Encoding: gzip")
    ) as relay:
        with pytest.raises(UnreadableReply):
            await make_client(relay).ask(JANE, Kind.DEMAND)


@pytest.mark.parametrize("later", [False, True], ids=["with the reply", "after the reply"])
async def test_an_unexpected_second_reply_is_not_taken_for_the_next_one(
    make_client: Make, later: bool
) -> None:
    once_more = asyncio.Event()

    async def too_much(writer: asyncio.StreamWriter) -> None:
        relay.answer = replies(WHOLE)
        await replies(WHOLE)(writer)
        if later:
            await once_more.wait()
        await replies(b"unexpected")(writer)

    async with raw_relay(too_much) as relay:
        client = make_client(relay)
        assert (await client.ask(JANE, Kind.DEMAND)).known
        once_more.set()
        assert (
            await make_client(relay).ask(JANE, Kind.DEMAND)
        ).known  # by then the rest has come in, too
        assert (await client.ask(Credentials("00ce70", "a", "b"), Kind.DEMAND)).known
        assert relay.connections == 3


async def test_a_gateway_is_never_asked_twice_at_once(make_client: Make) -> None:
    release = asyncio.Event()

    async def later(writer: asyncio.StreamWriter) -> None:
        await release.wait()
        await replies(WHOLE)(writer)

    async with raw_relay(later) as relay:
        client = make_client(relay)
        first = asyncio.create_task(client.ask(JANE, Kind.DEMAND))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="00ce69 is already being asked"):
            await client.ask(JANE, Kind.PRICE)
        release.set()
        assert (await first).known
        assert (await client.ask(JANE, Kind.PRICE)).known


async def test_a_gateway_may_be_asked_again_after_a_cancelled_request(make_client: Make) -> None:
    async with raw_relay(says()) as relay:
        client = make_client(relay)
        first = asyncio.create_task(client.ask(JANE, Kind.DEMAND))
        await until(relay.asked.is_set)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        relay.answer = replies(WHOLE)
        assert (await client.ask(JANE, Kind.DEMAND)).known


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("jane@example.org", "a\r\nX: y"),
        ("jane\n", "b"),
        ("jane@example.org", " b"),
        ("jane\0", "b"),
        ("jane", "\ud800"),
    ],
)
async def test_credentials_that_no_header_can_carry_are_refused_and_not_sent(
    make_client: Make, email: str, password: str
) -> None:
    async with raw_relay(replies(WHOLE)) as relay:
        with pytest.raises(Refused, match="cannot be sent"):
            await make_client(relay).ask(Credentials("00ce69", email, password), Kind.DEMAND)
        assert relay.requests == []


async def test_letters_beyond_ascii_are_sent_as_utf_8(make_client: Make) -> None:
    async with raw_relay(replies(WHOLE)) as relay:
        await make_client(relay).ask(
            Credentials("00ce69", "jané@example.org", "Käse €"), Kind.DEMAND
        )
        assert "Password: Käse €\r\n".encode() in relay.requests[0]


async def test_the_certificate_of_the_relay_is_verified(make_client: Make, tmp_path: Path) -> None:
    authority = Authority()
    bundle = authority.write(tmp_path / "ca.pem")
    async with raw_relay(replies(WHOLE), authority.issue("localhost").server_context()) as relay:
        assert (await make_client(relay, ca=bundle).ask(JANE, Kind.DEMAND)).known
        assert await reason_of(make_client(relay).ask(JANE, Kind.DEMAND)) == "connection"
        assert len(relay.requests) == 1
    async with raw_relay(
        replies(WHOLE), authority.issue("elsewhere.test").server_context()
    ) as relay:
        assert await reason_of(make_client(relay, ca=bundle).ask(JANE, Kind.DEMAND)) == "connection"
        assert relay.requests == []


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_connection_after_a_closed_one_resumes_its_tls_session(
    make_client: Make, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    authority = Authority()
    bundle = authority.write(tmp_path / "ca.pem")
    tls = authority.issue("localhost").server_context()
    tls.minimum_version = tls.maximum_version = version
    async with raw_relay(replies(WHOLE, "200 OK", "Connection: close"), tls) as relay:
        client = make_client(relay, ca=bundle)
        for _ in range(4):
            assert (await client.ask(JANE, Kind.DEMAND)).known
        assert relay.resumed == [False, True, True, True]


async def test_a_server_with_another_name_cannot_resume_a_session_of_the_relay(
    make_client: Make, tmp_path: Path
) -> None:
    authority = Authority()
    bundle = authority.write(tmp_path / "ca.pem")
    closing = replies(WHOLE, "200 OK", "Connection: close")
    async with raw_relay(closing, authority.issue("localhost").server_context()) as relay:
        client = make_client(relay, ca=bundle)
        for _ in range(2):
            await client.ask(JANE, Kind.DEMAND)
        assert relay.resumed == [False, True]
        port = urlsplit(relay.url).port
    async with raw_relay(
        closing, authority.issue("elsewhere.test").server_context(), port=port
    ) as relay:
        assert await reason_of(client.ask(JANE, Kind.DEMAND)) == "connection"
        assert relay.requests == []


@pytest.mark.parametrize("content", [None, b"no certificate"])
async def test_a_bad_certificate_bundle_is_a_configuration_error_that_names_its_setting(
    make_client: Make, tmp_path: Path, content: bytes | None
) -> None:
    bundle = tmp_path / "ca.pem"
    if content is not None:
        bundle.write_bytes(content)
    with pytest.raises(ConfigurationError, match="EAGLE_RELAY_CA"):
        make_client("https://127.0.0.1", ca=bundle)


async def test_a_process_name_that_no_header_can_carry_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="EAGLE_PROCESS_NAME"):
        RelayClient("http://127.0.0.1", user_agent="fetch-1\r\nCloud-Id: 00ce69", connect_timeout=5)
