"""aiohttp's connector and protocol, without its session."""

from __future__ import annotations

import asyncio

import aiohttp
from aiohttp.connector import Connection
from yarl import URL

from tests.canaries.advice import advice_of
from tests.support.polling import until
from tests.support.raw_relay import RawRelay, raw_relay, replies, says

RELIES_ON_IT = "eagle_logger/rainforest/relay/connections.py"
REQUEST = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 19\r\n\r\n<Command></Command>"
EMPTY_REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
PACKED = b"\x1f\x8b\x08\x00 not really"


async def test_a_request_needs_only_a_connection_and_its_protocol() -> None:
    reply = replies(PACKED, "429 Too Many Requests", "Content-Encoding: gzip", "Retry-After: 30")
    async with raw_relay(reply) as relay:
        with advice_of(RELIES_ON_IT):
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=15, ttl_dns_cache=60)
            for _ in range(2):
                connection = await _connect(connector, relay)
                assert connection.protocol is not None
                assert not connection.protocol.should_close
                assert await _exchange(connection) == (429, "30", PACKED)
                connection.release()
            await connector.close()
            assert (relay.connections, len(relay.requests)) == (1, 2)


async def test_an_interim_head_comes_before_the_head_of_the_reply() -> None:
    async with raw_relay(says(b"HTTP/1.1 100 Continue\r\n\r\n" + EMPTY_REPLY)) as relay:
        with advice_of(RELIES_ON_IT):
            connector = aiohttp.TCPConnector()
            connection = await _connect(connector, relay)
            assert (await _exchange(connection))[0] == 100
            assert connection.protocol is not None
            head, _ = await connection.protocol.read()
            assert head.code == 200
            connection.close()
            await connector.close()


async def test_a_connection_with_unexpected_bytes_is_to_be_closed() -> None:
    async with raw_relay(says(EMPTY_REPLY, EMPTY_REPLY)) as relay:
        with advice_of(RELIES_ON_IT):
            connector = aiohttp.TCPConnector()
            connection = await _connect(connector, relay)
            protocol = connection.protocol
            assert protocol is not None
            await _exchange(connection)
            await until(lambda: protocol.should_close)
            connection.close()
            await connector.close()


async def _connect(connector: aiohttp.TCPConnector, relay: RawRelay) -> Connection:
    target = aiohttp.ClientRequest("POST", URL(relay.url), loop=asyncio.get_running_loop())
    assert target.headers["Host"]
    return await connector.connect(target, [], aiohttp.ClientTimeout(connect=5, sock_connect=5))


async def _exchange(connection: Connection) -> tuple[int, str, bytes]:
    """The first head that comes, and its body."""
    protocol, transport = connection.protocol, connection.transport
    assert protocol is not None
    assert transport is not None
    protocol.set_response_params(read_until_eof=True, auto_decompress=False)
    transport.write(REQUEST)
    head, content = await protocol.read()
    body = b""
    while not content.at_eof():
        body += await content.readany()
    return head.code, head.headers.get("retry-after", ""), body
