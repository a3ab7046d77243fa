"""`SSLContext.wrap_bio`, which event loops call for each TLS connection."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from tests.canaries.advice import advice_of
from tests.support.certificates import Authority
from tests.support.raw_relay import raw_relay, replies

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": uvloop.new_event_loop,
}


class ResumingContext(ssl.SSLContext):
    """Offers the session of the last connection in the next one."""

    last: ssl.SSLObject | None = None

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        session = self.last.session if self.last else None
        self.last = super().wrap_bio(*args, **{**kwargs, "session": session})
        return self.last


@pytest.mark.parametrize("loop", LOOPS)
def test_an_event_loop_takes_the_tls_of_a_connection_from_its_context(loop: str) -> None:
    with (
        advice_of("eagle_logger/rainforest/relay/tls_resumption.py"),
        asyncio.Runner(loop_factory=LOOPS[loop]) as runner,
    ):
        assert runner.run(_resumed()) == [False, True]


async def _resumed() -> list[bool]:
    """Whether each of two connections resumed a session, as the server sees it."""
    authority = Authority()
    context = ResumingContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=authority.pem.decode())
    async with raw_relay(replies(b""), authority.issue("localhost").server_context()) as relay:
        port = int(relay.url.split(":")[2].split("/")[0])
        for _ in range(2):
            reader, writer = await asyncio.open_connection("localhost", port, ssl=context)
            writer.write(b"<Command></Command>")
            # The server sends the session before its reply.
            await reader.readuntil(b"\r\n\r\n")
            writer.close()
            await writer.wait_closed()
        return relay.resumed
