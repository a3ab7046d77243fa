"""The simulated relay: lets each request wait, answers as the home's gateway would, keeps the
ledger."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

from eagle_logger.clock import Clock
from eagle_logger.simulator.http.connection import Connection
from eagle_logger.simulator.http.request_parser import RequestHead, RequestHeadParser
from eagle_logger.simulator.http.responses import Reply
from eagle_logger.simulator.http.timer_wheel import TimerWheel
from eagle_logger.simulator.relay import commands, own_pages, replies
from eagle_logger.simulator.relay.accounts import Account, Accounts
from eagle_logger.simulator.relay.faults import RelayFaults
from eagle_logger.simulator.relay.homes import Home
from eagle_logger.simulator.relay.ledger import FLUSH_EVERY, Ledger
from eagle_logger.simulator.relay.reply_plan import HEALTHY, ReplyPlan, plan_of

RELAY_PATH = "/cgi-bin/post_manager"
MOST_COMMANDS = 200_000


@dataclass(slots=True)
class Exchange:
    """A request for the relay on its way to an answer."""

    connection: Connection
    head: RequestHead
    body: bytes
    plan: ReplyPlan
    account: Account | None
    over: bool = False

    def end(self) -> None:
        """The home's gateway is no longer asked: the reply is complete, or the client has gone."""
        if not self.over and self.account is not None:
            self.account.end()
        self.over = True


class SimulatedRelay:
    """A relay for these homes. Meter time runs in `clock`, latencies in real time.

    `latency` and `spread`: seconds; a reply takes `latency` ± `spread`, evenly.
    """

    def __init__(
        self,
        homes: Sequence[Home],
        ledger: Ledger,
        *,
        seed: int = 0,
        clock: Clock | None = None,
        faults: RelayFaults | None = None,
        latency: float = 0.0,
        spread: float = 0.0,
    ) -> None:
        self.accounts = Accounts(homes)
        self.heads = RequestHeadParser(self.accounts.authenticate)
        self.ledger = ledger
        self.clock = clock or Clock()
        self.faults = faults or RelayFaults()
        self.connections: set[Connection] = set()
        self.is_stopping = False
        self._latency, self._spread = latency, spread
        self._chance = Random(seed)  # noqa: S311  (latencies, not secrets)
        self._commands: dict[bytes, commands.Command | None] = {}
        self._first_connection = time.time_ns() // 1000  # no run opens a million a second
        self._opened = 0

    async def start(
        self, host: str = "127.0.0.1", port: int = 0, *, tls: ssl.SSLContext | None = None
    ) -> str:
        """Listen (port 0: a free one); the base URL, to which RELAY_PATH is added for the relay.
        Raises OSError."""
        self.loop = asyncio.get_running_loop()
        self._wheel = TimerWheel(self.loop)
        self._server = await self.loop.create_server(
            self._connect, host, port, backlog=4096, ssl=tls
        )
        self._flushing = self.loop.create_task(self._flush_for_ever())
        taken = self._server.sockets[0].getsockname()[1]
        return f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{taken}"

    async def stop(self, grace: float = 1.0) -> None:
        """Take no more, give replies in flight `grace` seconds to complete, and close the ledger
        safely."""
        self.is_stopping = True
        self._server.close()
        deadline = self.loop.time() + grace
        while (  # noqa: ASYNC110  (once)
            any(connection.is_busy for connection in self.connections)
            and self.loop.time() < deadline
        ):
            await asyncio.sleep(0.01)
        for connection in list(self.connections):
            connection.close()
        await asyncio.sleep(0)
        self._flushing.cancel()
        self.ledger.close()

    def request(self, connection: Connection, head: RequestHead, body: bytes) -> None:
        """A whole request has come in."""
        if head.path != RELAY_PATH or head.method != "POST":
            own_pages.serve(self, connection, head, body)
            return
        now = self.loop.time()
        account = head.account if isinstance(head.account, Account) else None
        plan = HEALTHY
        self.accounts.requests += 1
        if account is not None:
            number = account.begin(time.monotonic())  # finer than the loop's
            if self.faults.rules:
                command = self._command(body)
                kind = command.kind if command else "other"
                plan = plan_of(
                    self.faults.hitting(account.home, kind, number), account.home, number
                )
        exchange = Exchange(connection, head, body, plan, account)
        connection.on_close = exchange.end
        if plan.hangs:
            self.accounts.outcomes["hang"] += 1
        else:
            self._wheel.call_at(now + self._delay(plan), partial(self._answer, exchange))

    def not_http(self, reason: str) -> None:
        """Something else than HTTP has come in."""
        self.accounts.outcomes[f"not HTTP: {reason}"[:40]] += 1

    def _connect(self) -> Connection:
        self._opened += 1
        return Connection(self, self._first_connection + self._opened)

    def _delay(self, plan: ReplyPlan) -> float:
        latency, spread = self._latency, self._spread
        if plan.latency is not None:
            latency, spread = plan.latency.seconds, plan.latency.spread
        return max(0.0, latency + spread * (2 * self._chance.random() - 1))

    def _command(self, body: bytes) -> commands.Command | None:
        try:
            return self._commands[body]
        except KeyError:
            if len(self._commands) >= MOST_COMMANDS:
                self._commands.clear()
            command = self._commands[body] = commands.parse(body)
            return command

    def _answer(self, exchange: Exchange) -> None:
        connection, plan = exchange.connection, exchange.plan
        who = exchange.account or str(exchange.head.account)
        reply = replies.reply(
            who, self._command(exchange.body), self.clock.now(), plan, self.faults.wordings
        )
        if plan.resets is not None:
            exchange.end()
            self.accounts.outcomes[plan.outcome] += 1
            connection.break_off(reply, exchange.head, plan.resets.after_bytes)
            return
        complete = partial(self._complete, exchange, reply)
        if plan.drips is None:
            connection.send(reply, exchange.head, complete)
        else:
            connection.drip(reply, exchange.head, complete, plan.drips.bytes_per_second)

    def _complete(self, exchange: Exchange, reply: Reply) -> None:
        connection, head = exchange.connection, exchange.head
        self.accounts.outcomes[reply.outcome] += 1
        self.ledger.add(
            f'{{"completed":{self.clock.now():.3f},"wall":{time.time():.3f},"connection":{connection.number},'
            f'"port":{connection.port},"agent":{head.agent},"cloud_id":{head.cloud_id},'
            f'"client_closed":{"true" if connection.client_closed else "false"},"status":{reply.status},'
            f'"outcome":"{reply.outcome}","readings":{reply.readings}}}\n'
        )
        exchange.end()

    async def _flush_for_ever(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_EVERY)
            try:
                self.ledger.flush()
            except OSError:
                self.accounts.outcomes["ledger not written"] += (
                    1  # what it holds is kept, and tried again
                )
