"""The bridge's life: built from the settings, served until a signal asks it to stop, closed in
order."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from eagle_logger import wiring
from eagle_logger.broker_queues import ADHOC, DISPATCH, Broker, fetch_queues, rotate_queue
from eagle_logger.core.kinds import Kind
from eagle_logger.errors import ConfigurationError, RedisUnavailable
from eagle_logger.inspection.health import worker_silent_after
from eagle_logger.settings import Settings
from eagle_logger.sns.certificate_cache import FetchCertificate
from eagle_logger.users.store import Fleet
from workers.bridge.adhoc_requests import AdhocRequests, Enqueue
from workers.bridge.counters import Counters
from workers.bridge.sns_verifier import make_verifier
from workers.process.shutdown import stop_signal
from workers.server import subscription_confirmation
from workers.server.app import BoundedServer, make_probe_server, make_server
from workers.server.context import Bridge
from workers.server.handlers import log
from workers.server.health import watch_readiness
from workers.server.peers import parse_networks
from workers.server.subscription_confirmation import Confirm, Confirmations
from workers.server.unarchived_hours import unarchived_hours

_PROGRESS_NOTED_EVERY_S = 2.0
_REQUESTS_FINISH_WITHIN_S = 5.0
"""How long the server waits at its end for the requests under way."""


@asynccontextmanager
async def running_bridge(
    settings: Settings,
    enqueue: Enqueue,
    *,
    fetch_certificate: FetchCertificate | None = None,
    confirm: Confirm | None = None,
    workers_silent_after_s: float | None = None,
) -> AsyncIterator[str]:
    """A bridge that listens. Yields its URL. The keyword arguments are for tests. Raises
    ConfigurationError."""
    api_token = settings.api_token.get_secret_value() if settings.api_token else None
    store = wiring.user_store(settings, passwords=api_token is not None)
    verifier = make_verifier(settings, fetch_certificate)
    counters, adhoc = Counters(store.fleet), AdhocRequests(store.schedule, enqueue)
    broker = Broker(settings.broker_address)
    confirmations = Confirmations(
        confirm or subscription_confirmation.confirm_through_boto3(settings), counters
    )
    bridge = Bridge(
        users=store.users,
        schedule=store.schedule,
        fleet=store.fleet,
        adhoc=adhoc,
        verifier=verifier,
        confirmations=confirmations,
        counters=counters,
        queues=lambda: _waiting_messages(settings, store.fleet, broker),
        unarchived=lambda: asyncio.to_thread(unarchived_hours, settings),
        api_token=api_token,
        trusted_proxies=parse_networks(settings.trusted_proxies),
        stretched=settings.clock.stretched,
        workers_silent_after_s=(
            workers_silent_after_s or worker_silent_after(settings.intervals[Kind.DEMAND])
        ),
    )
    http, probes = make_server(bridge), make_probe_server(bridge)
    _listen(http, "EAGLE_BRIDGE_PORT", settings.bridge_host, settings.bridge_port)
    _listen(probes, "EAGLE_BRIDGE_PROBE_PORT", settings.bridge_host, settings.probe_port)
    log.info("probes_listen", port=_port_of(probes), detail="/healthz, /readyz and /metrics")
    name = settings.process_name or f"bridge@{socket.gethostname()}"
    background = [
        asyncio.create_task(counters.run()),
        asyncio.create_task(watch_readiness(bridge)),
        asyncio.create_task(_note_progress(store.fleet, name)),
    ]
    try:
        yield _url(settings.bridge_host, _port_of(http))
    finally:
        http.stop()
        await _finish_requests(http, bridge.under_way)
        probes.stop()
        await probes.close_all_connections()
        for task in background:
            task.cancel()
        await confirmations.close()
        await counters.flush()
        adhoc.close()
        broker.close()
        await store.close()


async def serve(
    settings: Settings, enqueue: Enqueue, *, fetch_certificate: FetchCertificate | None = None
) -> None:
    """Run the bridge until SIGTERM or SIGINT."""
    stop = stop_signal()
    async with running_bridge(settings, enqueue, fetch_certificate=fetch_certificate) as url:
        if not settings.sns_topic_arns:
            detail = "EAGLE_SNS_TOPIC_ARNS is empty: every message from SNS is refused"
            log.warning("sns_topics_not_set", detail=detail)
        log.info(
            "listening", url=url, api=settings.api_token is not None, topics=settings.sns_topic_arns
        )
        await stop.wait()
        log.info("bridge_stopping")


def _listen(server: BoundedServer, variable: str, host: str, port: int) -> None:
    try:
        server.listen(port, address=host)
    except OSError as exc:
        where = f"{host}:{port} (EAGLE_BRIDGE_HOST, {variable})"
        raise ConfigurationError(f"cannot listen at {where}: {exc}") from exc


async def _note_progress(fleet: Fleet, name: str) -> None:
    while True:
        # Every route that needs Redis reports by itself that Redis is away.
        with contextlib.suppress(RedisUnavailable):
            await fleet.note_progress(name, {})
        await asyncio.sleep(_PROGRESS_NOTED_EVERY_S)


async def _waiting_messages(settings: Settings, fleet: Fleet, broker: Broker) -> dict[str, int]:
    names = [
        DISPATCH,
        ADHOC,
        *fetch_queues(settings.fetch_queues),
        *map(rotate_queue, await fleet.nodes()),
    ]
    return await asyncio.to_thread(broker.waiting, names)


async def _finish_requests(http: BoundedServer, under_way: Collection[object]) -> None:
    """Wait until the requests under way are answered; cut off those that take too long."""
    until = time.monotonic() + _REQUESTS_FINISH_WITHIN_S
    # This runs once, so it polls; an event would have to be kept through the bridge's whole life.
    while under_way and time.monotonic() < until:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    if under_way:
        log.warning("requests_cut_off", requests=len(under_way))
    await http.close_all_connections()


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _port_of(http: BoundedServer) -> int:
    # Tornado has no public way to ask for it.
    port: int = next(iter(http._sockets.values())).getsockname()[1]  # noqa: SLF001
    return port
