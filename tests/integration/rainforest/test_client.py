"""The relay client against sockets that say exactly what a test wants."""

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
from tests.support.raw_relay import RawRelay, hangs_up, raw_relay, replies, says
from tests.unit.rainforest.decoding.quirks.quirk import WHOLE

JANE = Credentials("00ce69", "jane@example.org", "made-up words")
Make = Callable[..., RelayClient]


@pytest.fixture
async def client() -> AsyncIterator[Make]:
    """Makes clients, and closes them."""
    made: list[RelayClient] = []

    def make(
        relay: RawRelay | str,
        *,
        connect_timeout: float = 5,
        ca: Path | None = None,
    ) -> RelayClient:
        url = relay if isinstance(relay, str) else relay.url
        one = RelayClient(
            url,
            user_agent="eagle-logger/0.1.0 fetch-1/4711",
            connect_timeout=connect_timeout,
            ca=ca,
        )
        made.append(one)
        return one

    yield make
    for one in made:
        await one.close()


async def reason_of(asking: Awaitable[Decoded]) -> str:
    with pytest.raises(RelayUnavailable) as wrong:
        await asking
    return wrong.value.reason


def value_of(decoded: Decoded) -> object:
    (reading,) = decoded.readings
    return reading.values["value"]


async def test_a_request_as_the_manual_prescribes(client: Make) -> None:
    async with raw_relay(replies(WHOLE)) as relay:
        assert value_of(
            await client(relay).ask(JANE, Kind.DEMAND, "0xd8d5b9000000abcd")
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


async def test_one_connection_serves_one_request_after_the_other(client: Make) -> None:
    async with raw_relay(replies(WHOLE)) as relay:
        one = client(relay)
        for kind in Kind:
            await one.ask(JANE, kind)
        assert (relay.connections, len(relay.requests)) == (1, 4)


async def test_a_relay_that_closes_every_connection(client: Make) -> None:
    async with raw_relay(replies(WHOLE, "200 OK", "Connection: close")) as relay:
        one = client(relay)
        for _ in range(3):
            await one.ask(JANE, Kind.DEMAND)
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
            *(b"1\r\n%c\r\n" % one for one in WHOLE),
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
async def test_however_the_body_comes(client: Make, pieces: list[bytes]) -> None:
    async with raw_relay(hangs_up(*pieces)) as relay:
        assert value_of(await client(relay).ask(JANE, Kind.DEMAND)) == Decimal("0.944")


async def test_an_error_status_is_told_apart(client: Make) -> None:
    async with raw_relay(replies(b"", "429 Too Many Requests", "Retry-After: 30")) as relay:
        one = client(relay)
        with pytest.raises(RelayUnavailable) as wrong:
            await one.ask(JANE, Kind.DEMAND)
        assert (wrong.value.reason, wrong.value.retry_after) == ("busy", 30)
        relay.answer = replies(b"Wrong User or Password: made-up words", "401 Unauthorized")
        with pytest.raises(Refused) as refused:
            await one.ask(JANE, Kind.DEMAND)
        assert JANE.user_pw not in str(refused.value)
        relay.answer = replies(b"")
        assert await reason_of(one.ask(JANE, Kind.DEMAND)) == "empty"


async def test_no_redirect_is_followed_and_no_cookie_kept(client: Make) -> None:
    async with raw_relay(replies(WHOLE)) as elsewhere:
        async with raw_relay(
            replies(
                b"",
                "307 Temporary Redirect",
                f"Location: {elsewhere.url}",
                "Set-Cookie: a=b; Path=/",
            )
        ) as relay:
            one = client(relay)
            for _ in range(2):
                assert await reason_of(one.ask(JANE, Kind.DEMAND)) == "redirected"
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
async def test_a_reply_that_breaks_off_is_nothing(
    client: Make, answer: Callable[..., Awaitable[None]]
) -> None:
    async with raw_relay(answer) as relay:
        assert await reason_of(client(relay).ask(JANE, Kind.DEMAND)) == "connection"
        assert len(relay.requests) == 1


@pytest.mark.parametrize(
    "echo", [b"HTTP/1.1 200 OK\r\nPassword made-up words\r\n\r\n", b"made-up words\r\n\r\n"]
)
async def test_a_broken_reply_that_echoes_the_password_does_not_spread_it(
    client: Make, echo: bytes
) -> None:
    async with raw_relay(hangs_up(echo)) as relay:
        with pytest.raises(RelayUnavailable) as wrong:
            await client(relay).ask(JANE, Kind.DEMAND)
    assert "made-up" not in "".join(traceback.format_exception(wrong.value))
    assert "made-up" not in str(wrong.value)


async def test_nobody_listens(client: Make) -> None:
    async with raw_relay(replies(WHOLE)) as relay:
        pass
    assert await reason_of(client(relay).ask(JANE, Kind.DEMAND)) == "connection"


async def test_silence_is_cut_by_the_callers_deadline(client: Make) -> None:
    async with raw_relay(says()) as relay:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client(relay).ask(JANE, Kind.DEMAND)
        await asyncio.wait_for(relay.all_closed.wait(), 5)


async def test_a_connection_that_never_shakes_hands_ends_after_the_connect_timeout(
    client: Make,
) -> None:
    async with raw_relay(says()) as relay:
        deaf = relay.url.replace("http:", "https:")
        assert (
            await reason_of(client(deaf, connect_timeout=0.05).ask(JANE, Kind.DEMAND))
            == "timed_out"
        )


async def test_a_dripping_reply_is_cut_by_the_callers_deadline(client: Make) -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"<")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with raw_relay(drip) as relay:
        one = client(relay)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await one.ask(JANE, Kind.DEMAND)
        await asyncio.wait_for(relay.all_closed.wait(), 5)
        relay.answer = replies(WHOLE)
        assert (await one.ask(JANE, Kind.DEMAND)).known


async def test_a_huge_body_is_left_unread(client: Make) -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<Password>made-up words ")
        with contextlib.suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b"x" * 65536)
                await writer.drain()

    async with raw_relay(endless) as relay:
        with pytest.raises(UnreadableReply) as wrong:
            await client(relay).ask(JANE, Kind.DEMAND)
        assert wrong.value.problem.what == "too_large"
        assert JANE.user_pw not in wrong.value.problem.sample
        await asyncio.wait_for(relay.all_closed.wait(), 5)


async def test_of_a_huge_body_what_is_whole_at_its_beginning_counts(client: Make) -> None:
    async with raw_relay(replies(WHOLE + b" " * (1 << 20))) as relay:
        decoded = await client(relay).ask(JANE, Kind.DEMAND)
        assert len(decoded.readings) == 1
        assert [problem.what for problem in decoded.problems] == ["too_large"]
        await asyncio.wait_for(relay.all_closed.wait(), 5)  # the rest is left unread


async def test_heads_without_a_reply_have_an_end(client: Make) -> None:
    async def hesitant(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)
        await writer.drain()

    async with raw_relay(hesitant) as relay:
        assert await reason_of(client(relay).ask(JANE, Kind.DEMAND)) == "connection"


async def test_a_compressed_bomb_is_not_unpacked(client: Make) -> None:
    async with raw_relay(
        replies(b"\x1f\x8b\x08\x00" + b"\x00" * 60, "200 OK", "Content-Encoding: gzip")
    ) as relay:
        with pytest.raises(UnreadableReply):
            await client(relay).ask(JANE, Kind.DEMAND)


@pytest.mark.parametrize("later", [False, True], ids=["with the reply", "after it"])
async def test_what_nobody_asked_for_is_not_taken_for_the_next_reply(
    client: Make, later: bool
) -> None:
    once_more = asyncio.Event()

    async def too_much(writer: asyncio.StreamWriter) -> None:
        relay.answer = replies(WHOLE)
        await replies(WHOLE)(writer)
        if later:
            await once_more.wait()
        await replies(b"somebody else's")(writer)

    async with raw_relay(too_much) as relay:
        one = client(relay)
        assert (await one.ask(JANE, Kind.DEMAND)).known
        once_more.set()
        assert (
            await client(relay).ask(JANE, Kind.DEMAND)
        ).known  # by then the rest has come in, too
        assert (await one.ask(Credentials("00ce70", "a", "b"), Kind.DEMAND)).known
        assert relay.connections == 3


async def test_a_gateway_is_never_asked_twice_at_once(client: Make) -> None:
    release = asyncio.Event()

    async def later(writer: asyncio.StreamWriter) -> None:
        await release.wait()
        await replies(WHOLE)(writer)

    async with raw_relay(later) as relay:
        one = client(relay)
        first = asyncio.create_task(one.ask(JANE, Kind.DEMAND))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="00ce69 is already being asked"):
            await one.ask(JANE, Kind.PRICE)
        release.set()
        assert (await first).known
        assert (await one.ask(JANE, Kind.PRICE)).known


async def test_a_gateway_may_be_asked_again_after_a_cancelled_request(client: Make) -> None:
    async with raw_relay(says()) as relay:
        one = client(relay)
        first = asyncio.create_task(one.ask(JANE, Kind.DEMAND))
        await asyncio.wait_for(relay.asked.wait(), 5)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        relay.answer = replies(WHOLE)
        assert (await one.ask(JANE, Kind.DEMAND)).known


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
async def test_what_no_header_can_carry_is_refused_unsent(
    client: Make, email: str, password: str
) -> None:
    async with raw_relay(replies(WHOLE)) as relay:
        with pytest.raises(Refused, match="cannot be sent"):
            await client(relay).ask(Credentials("00ce69", email, password), Kind.DEMAND)
        assert relay.requests == []


async def test_letters_beyond_ascii_go_as_utf_8(client: Make) -> None:
    async with raw_relay(replies(WHOLE)) as relay:
        await client(relay).ask(Credentials("00ce69", "jané@example.org", "Käse €"), Kind.DEMAND)
        assert "Password: Käse €\r\n".encode() in relay.requests[0]


async def test_tls_is_verified(client: Make, tmp_path: Path) -> None:
    authority = Authority()
    bundle = authority.write(tmp_path / "ca.pem")
    async with raw_relay(replies(WHOLE), authority.issue("localhost").server_context()) as relay:
        assert (await client(relay, ca=bundle).ask(JANE, Kind.DEMAND)).known
        assert await reason_of(client(relay).ask(JANE, Kind.DEMAND)) == "connection"
        assert len(relay.requests) == 1
    async with raw_relay(
        replies(WHOLE), authority.issue("elsewhere.test").server_context()
    ) as relay:
        assert await reason_of(client(relay, ca=bundle).ask(JANE, Kind.DEMAND)) == "connection"
        assert relay.requests == []


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_relay_that_closes_every_connection_is_spared_whole_handshakes(
    client: Make, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    authority = Authority()
    bundle = authority.write(tmp_path / "ca.pem")
    tls = authority.issue("localhost").server_context()
    tls.minimum_version = tls.maximum_version = version
    async with raw_relay(replies(WHOLE, "200 OK", "Connection: close"), tls) as relay:
        one = client(relay, ca=bundle)
        for _ in range(4):
            assert (await one.ask(JANE, Kind.DEMAND)).known
        assert relay.resumed == [False, True, True, True]


async def test_a_session_of_the_relays_opens_no_door_to_somebody_else(
    client: Make, tmp_path: Path
) -> None:
    authority = Authority()
    bundle = authority.write(tmp_path / "ca.pem")
    closing = replies(WHOLE, "200 OK", "Connection: close")
    async with raw_relay(closing, authority.issue("localhost").server_context()) as relay:
        one = client(relay, ca=bundle)
        for _ in range(2):
            await one.ask(JANE, Kind.DEMAND)
        assert relay.resumed == [False, True]
        port = urlsplit(relay.url).port
    async with raw_relay(
        closing, authority.issue("elsewhere.test").server_context(), port=port
    ) as relay:
        assert await reason_of(one.ask(JANE, Kind.DEMAND)) == "connection"
        assert relay.requests == []


@pytest.mark.parametrize("content", [None, b"no certificate"])
async def test_a_bad_bundle_names_its_setting(
    client: Make, tmp_path: Path, content: bytes | None
) -> None:
    bundle = tmp_path / "ca.pem"
    if content is not None:
        bundle.write_bytes(content)
    with pytest.raises(ConfigurationError, match="EAGLE_RELAY_CA"):
        client("https://127.0.0.1", ca=bundle)


async def test_a_process_name_that_no_header_can_carry_is_told() -> None:
    with pytest.raises(ConfigurationError, match="EAGLE_PROCESS_NAME"):
        RelayClient(
            "http://127.0.0.1",
            user_agent="fetch-1\r\nCloud-Id: 00ce69",
            connect_timeout=5,
        )
