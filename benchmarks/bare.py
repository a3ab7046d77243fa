"""Clients that make the same requests and do nothing else: the best that Python can do, and what
the program of 2015 did.

Run as a process: `python -m benchmarks.bare httpx|transport|aiohttp|client|sequential URL
USERS_FILE IN_FLIGHT`. It ends on SIGTERM. OpenSSL reads the authorities to trust from
SSL_CERT_FILE.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import ssl
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import aiohttp
import httpx
import uvloop
from httpx_aiohttp import AiohttpTransport

from eagle_logger.core.kinds import Kind
from eagle_logger.core.users import Credentials
from eagle_logger.errors import EagleError
from eagle_logger.rainforest.relay.client import RelayClient
from eagle_logger.rainforest.relay.requests import reading_request

DEADLINE = 10.0
BODY = reading_request(Kind.DEMAND)
Person = TypeVar("Person")


def accounts(users_file: Path) -> Iterator[dict[str, str]]:
    """The headers of every account's request."""
    with users_file.open() as lines:
        for line in lines:
            yield headers(json.loads(line))


def headers(account: Mapping[str, str]) -> dict[str, str]:
    return {
        "Cloud-Id": account["cloud_id"],
        "User": account["user_email"],
        "Password": account["user_pw"],
        "Content-Type": "text/xml",
    }


async def with_httpx(url: str, people: Iterable[Mapping[str, str]], in_flight: int) -> None:
    """httpx.AsyncClient over aiohttp's transport."""
    transport = AiohttpTransport(verify=ssl.create_default_context(), limits=_limits(in_flight))
    async with httpx.AsyncClient(transport=transport, timeout=DEADLINE, trust_env=False) as client:

        async def ask(person: Mapping[str, str]) -> bytes:
            return (await client.post(url, headers=person, content=BODY)).content

        await _keep_asking(ask, people, in_flight)


async def with_transport(url: str, people: Iterable[Mapping[str, str]], in_flight: int) -> None:
    """The transport of `with_httpx` without the client around it."""
    address, timeout = httpx.URL(url), httpx.Timeout(DEADLINE).as_dict()
    async with AiohttpTransport(
        verify=ssl.create_default_context(), limits=_limits(in_flight)
    ) as transport:

        async def ask(person: Mapping[str, str]) -> bytes:
            request = httpx.Request(
                "POST", address, headers=person, content=BODY, extensions={"timeout": timeout}
            )
            reply = await transport.handle_async_request(request)
            try:
                return await reply.aread()
            finally:
                await reply.aclose()

        await _keep_asking(ask, people, in_flight)


async def with_aiohttp(url: str, people: Iterable[Mapping[str, str]], in_flight: int) -> None:
    """aiohttp alone."""
    connector = aiohttp.TCPConnector(limit=in_flight)
    timeout = aiohttp.ClientTimeout(DEADLINE)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:

        async def ask(person: Mapping[str, str]) -> bytes:
            async with session.post(url, headers=person, data=BODY) as reply:
                return await reply.read()

        await _keep_asking(ask, people, in_flight)


async def with_client(url: str, people: Iterable[Mapping[str, str]], in_flight: int) -> None:
    """Our relay client: aiohttp, with every check, and the reply decoded."""
    ca = os.environ.get("SSL_CERT_FILE")
    client = RelayClient(
        url,
        user_agent="bench",
        connect_timeout=DEADLINE,
        ca=Path(ca) if ca else None,
    )
    known = [
        Credentials(person["Cloud-Id"], person["User"], person["Password"]) for person in people
    ]

    async def ask(credentials: Credentials) -> None:
        async with asyncio.timeout(DEADLINE):
            await client.ask(credentials, Kind.DEMAND)

    try:
        await _keep_asking(ask, known, in_flight)
    finally:
        await client.close()


def sequential(url: str, people: Iterable[Mapping[str, str]]) -> None:
    """One request after the other, as in 2015. The replies are appended to a file."""
    with (
        httpx.Client(timeout=DEADLINE, trust_env=False) as client,
        Path("/dev/null").open("ab") as log,
    ):
        for person in itertools.cycle(people):
            with suppress(httpx.HTTPError):
                log.write(client.post(url, headers=person, content=BODY).content)


CLIENTS = {
    "httpx": with_httpx,
    "transport": with_transport,
    "aiohttp": with_aiohttp,
    "client": with_client,
}


async def _keep_asking(
    ask: Callable[[Person], Awaitable[object]], people: Iterable[Person], in_flight: int
) -> None:
    in_turn = itertools.cycle(people)

    async def one_after_the_other() -> None:
        for person in in_turn:
            with suppress(httpx.HTTPError, aiohttp.ClientError, TimeoutError, EagleError):
                await ask(person)

    await asyncio.gather(*(one_after_the_other() for _ in range(in_flight)))


def _limits(in_flight: int) -> httpx.Limits:
    return httpx.Limits(max_connections=in_flight, max_keepalive_connections=in_flight)


def main(which: str, url: str, users_file: str, in_flight: str) -> None:
    people = list(accounts(Path(users_file)))
    if which == "sequential":
        sequential(url, people)
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(CLIENTS[which](url, people, int(in_flight)))


if __name__ == "__main__":
    main(*sys.argv[1:])
