"""The simulated relay: delays each request, answers it as the home's gateway would, and records the
reply in the ledger."""

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
from eagle_logger.simulator.relay.ledger import FLUSH_EVERY_S, Ledger
from eagle_logger.simulator.relay.reply_plan import HEALTHY, ReplyPlan, plan_of
from eagle_logger.simulator.relay.trace import TracedMeter

RELAY_PATH = "/cgi-bin/post_manager"
COMMANDS_REMEMBERED = 200_000


@dataclass(slots=True)
class Exchange:
    """A request for the relay on its way to a reply."""

    connection: Connection
    head: RequestHead
    body: bytes
    plan: ReplyPlan
    account: Account | None
    """None if the credentials are wrong."""
    has_ended: bool = False

    def end(self) -> None:
        """The request is no longer in flight: its reply is complete, or the client has closed."""
        if not self.has_ended and self.account is not None:
            self.account.end_request()
        self.has_ended = True


class SimulatedRelay:
    """A relay for these homes. Meters follow `clock`, while latencies pass in real time.

    A reply takes `latency` ± `spread` seconds, evenly distributed. Demands come from `traced` if it
    is given.
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
        traced: TracedMeter | None = None,
    ) -> None:
        self.accounts = Accounts(homes, traced)
        self.heads = RequestHeadParser(self.accounts.authenticate)
        self.ledger = ledger
        self.clock = clock or Clock()
        self.faults = faults or RelayFaults()
        self.connections: set[Connection] = set()
        self.is_stopping = False
        self._latency, self._spread = latency, spread
        self._random = Random(seed)  # noqa: S311  (latencies, not secrets)
        self._commands: dict[bytes, commands.Command | None] = {}
        # Microseconds make the numbers of connections unique among all runs: no run opens a
        # million connections a second.
        self._first_connection = time.time_ns() // 1000
        self._opened = 0

    async def start(
        self, host: str = "127.0.0.1", port: int = 0, *, tls: ssl.SSLContext | None = None
    ) -> str:
        """Listen on `port` (0: a free one). Returns the base URL; the relay is at RELAY_PATH below
        it. Raises OSError."""
        self.loop = asyncio.get_running_loop()
        self._timers = TimerWheel(self.loop)
        self._server = await self.loop.create_server(
            self._new_connection, host, port, backlog=4096, ssl=tls
        )
        self._flush_task = self.loop.create_task(self._flush_ledger_for_ever())
        port = self._server.sockets[0].getsockname()[1]
        return f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"

    async def stop(self, grace: float = 1.0) -> None:
        """Accept no more connections, give replies in flight `grace` seconds to complete, and close
        the ledger. Raises OSError if the ledger cannot be written."""
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
        self._flush_task.cancel()
        self.ledger.close()

    def handle_request(self, connection: Connection, head: RequestHead, body: bytes) -> None:
        if head.path != RELAY_PATH or head.method != "POST":
            own_pages.serve(self, connection, head, body)
            return
        now = self.loop.time()
        account = head.account if isinstance(head.account, Account) else None
        plan = HEALTHY
        self.accounts.requests += 1
        if account is not None:
            number = account.begin_request(time.monotonic())  # finer than the loop's time
            if self.faults.rules:
                command = self._parse_command(body)
                kind = command.kind if command else "other"
                rules = self.faults.rules_hitting(account.home, kind, number)
                plan = plan_of(rules, account.home, number)
        exchange = Exchange(connection, head, body, plan, account)
        connection.on_close = exchange.end
        if plan.hangs:
            self.accounts.outcomes["hang"] += 1
        else:
            self._timers.call_at(now + self._delay(plan), partial(self._send_reply, exchange))

    def count_malformed_request(self, reason: str) -> None:
        # Only a part of the reason, because clients choose its rest: /stats lists few outcomes.
        self.accounts.outcomes[f"not HTTP: {reason}"[:40]] += 1

    def _new_connection(self) -> Connection:
        self._opened += 1
        return Connection(self, self._first_connection + self._opened)

    def _delay(self, plan: ReplyPlan) -> float:
        latency, spread = self._latency, self._spread
        if plan.latency is not None:
            latency, spread = plan.latency.seconds, plan.latency.spread
        return max(0.0, latency + spread * (2 * self._random.random() - 1))

    def _parse_command(self, body: bytes) -> commands.Command | None:
        try:
            return self._commands[body]
        except KeyError:
            if len(self._commands) >= COMMANDS_REMEMBERED:
                self._commands.clear()
            command = self._commands[body] = commands.parse(body)
            return command

    def _send_reply(self, exchange: Exchange) -> None:
        connection, plan = exchange.connection, exchange.plan
        account = exchange.account or str(exchange.head.account)
        command = self._parse_command(exchange.body)
        reply = replies.reply_to(account, command, self.clock.now(), plan, self.faults.wordings)
        if plan.reset is not None:
            exchange.end()
            self.accounts.outcomes[plan.outcome] += 1
            connection.send_and_reset(reply, exchange.head, plan.reset.after_bytes)
            return
        completed = partial(self._record_reply, exchange, reply)
        if plan.drip is None:
            connection.send(reply, exchange.head, completed)
        else:
            connection.send_slowly(reply, exchange.head, completed, plan.drip.bytes_per_second)

    def _record_reply(self, exchange: Exchange, reply: Reply) -> None:
        connection, head = exchange.connection, exchange.head
        self.accounts.outcomes[reply.outcome] += 1
        client_closed = "true" if connection.client_closed else "false"
        self.ledger.add(
            f'{{"completed":{self.clock.now():.3f},"wall":{time.time():.3f},'
            f'"connection":{connection.number},"port":{connection.port},"agent":{head.agent},'
            f'"cloud_id":{head.cloud_id},"client_closed":{client_closed},'
            f'"status":{reply.status},"outcome":"{reply.outcome}","readings":{reply.readings}}}\n'
        )
        exchange.end()

    async def _flush_ledger_for_ever(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_EVERY_S)
            try:
                self.ledger.flush()
            except OSError:  # the ledger keeps its lines, and the next flush tries again
                self.accounts.outcomes["ledger not written"] += 1
