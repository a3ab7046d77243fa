"""The simulator's own pages, beside the relay: /healthz, /stats, /ledger, /faults."""

from __future__ import annotations

from typing import Protocol

from eagle_logger.clock import Clock
from eagle_logger.simulator.http import responses
from eagle_logger.simulator.http.connection import Connection
from eagle_logger.simulator.http.request_parser import RequestHead
from eagle_logger.simulator.http.responses import Reply
from eagle_logger.simulator.relay.accounts import Accounts
from eagle_logger.simulator.relay.faults import RelayFaults
from eagle_logger.simulator.relay.ledger import Ledger

METHODS = {"/healthz": ("GET",), "/stats": ("GET",), "/ledger": ("GET",), "/faults": ("GET", "PUT")}


class RelayView(Protocol):
    """What the pages show of the relay. A PUT to /faults replaces `faults`."""

    accounts: Accounts
    clock: Clock
    faults: RelayFaults
    ledger: Ledger


def serve(relay: RelayView, connection: Connection, head: RequestHead, body: bytes) -> None:
    """Answer a request that is not for the relay."""
    if head.path == "/ledger" and head.method == "GET":
        _send_ledger(relay, connection, head)
    else:
        connection.send(_page(relay, head, body), head)


def _page(relay: RelayView, head: RequestHead, body: bytes) -> Reply:
    if head.path not in METHODS:
        return responses.problem(
            404, "there is /cgi-bin/post_manager (POST), /ledger, /stats, /faults and /healthz"
        )
    if head.method not in METHODS[head.path]:
        return responses.problem(405, f"{head.path} takes {' and '.join(METHODS[head.path])}")
    if head.path == "/healthz":
        return responses.page(
            {"status": "ok", "homes": len(relay.accounts), "now": relay.clock.now()}
        )
    if head.path == "/stats":
        every_home = head.query.get("homes") == "all"
        return responses.page(relay.accounts.statistics(every_home=every_home))
    if head.method == "PUT":
        try:
            relay.faults = RelayFaults.parse(body, relay.accounts, relay.clock.now())
        except ValueError as exc:
            return responses.problem(
                422,
                "these faults are not valid; the old ones stay in force",
                errors=str(exc).splitlines(),
            )
    return responses.page(relay.faults.as_json())


def _send_ledger(relay: RelayView, connection: Connection, head: RequestHead) -> None:
    size = relay.ledger.size()
    after = head.query.get("after", "0")
    if not after.isdecimal() or int(after) > size:
        detail = f"after must be a byte offset, at most {size}"
        connection.send(responses.problem(416, detail), head)
        return
    start = int(after)
    connection.write(responses.ledger_head(size - start, size))
    connection.stream(relay.ledger.read, start, size, head.keep_alive)
