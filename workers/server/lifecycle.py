"""The bridge's life: built from the settings, served until it is told to stop, closed in order."""

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
from eagle_logger.core.rotation_plan import is_over, late_arrivals_between
from eagle_logger.errors import RedisUnavailable
from eagle_logger.inspection.health import worker_silent_after
from eagle_logger.settings import Settings
from eagle_logger.sns.certificate_cache import FetchCertificate
from eagle_logger.users.store import Fleet
from workers.bridge.adhoc_requests import AdhocRequests, Enqueue
from workers.bridge.counters import Counters
from workers.bridge.sns_verifier import make_verifier
from workers.process.shutdown import stop_signal
from workers.server import subscription_confirmation
from workers.server.app import BoundedServer, probe_server, server
from workers.server.context import Bridge, Unarchived
from workers.server.handlers import log
from workers.server.health import watch
from workers.server.peers import networks
from workers.server.subscription_confirmation import Confirm, Confirmations

HEARTBEAT = 2.0
"""Seconds between two notes of progress in Redis."""
_GRACE = 5.0
"""Seconds that requests under way are given at the end."""


@asynccontextmanager
async def running(
    settings: Settings,
    enqueue: Enqueue,
    *,
    fetch_certificate: FetchCertificate | None = None,
    confirm: Confirm | None = None,
    patience: float | None = None,
) -> AsyncIterator[str]:
    """A listening bridge; its URL. `fetch_certificate`, `confirm` and `patience` (seconds) are for
    tests. Raises ConfigurationError."""
    api_token = settings.api_token.get_secret_value() if settings.api_token else None
    store = wiring.user_store(settings, passwords=api_token is not None)
    verifier = make_verifier(settings, fetch_certificate)
    counters, adhoc = Counters(store.fleet), AdhocRequests(store.schedule, enqueue)
    broker = Broker(settings.broker_address)
    confirmations = Confirmations(
        confirm or subscription_confirmation.through_boto3(settings), counters
    )
    bridge = Bridge(
        users=store.users,
        schedule=store.schedule,
        fleet=store.fleet,
        adhoc=adhoc,
        verifier=verifier,
        confirmations=confirmations,
        counters=counters,
        queues=lambda: _waiting(settings, store.fleet, broker),
        unarchived=lambda: asyncio.to_thread(_unarchived, settings),
        api_token=api_token,
        trusted_proxies=networks(settings.trusted_proxies),
        stretched=settings.clock.stretched,
        worker_patience=patience or worker_silent_after(settings.intervals[Kind.DEMAND]),
    )
    http, probes = server(bridge), probe_server(bridge)
    http.listen(settings.bridge_port, address=settings.bridge_host)
    probes.listen(settings.probe_port, address=settings.bridge_host)
    log.info("probes_listen", port=_port(probes), detail="/healthz, /readyz and /metrics")
    name = settings.process_name or f"bridge@{socket.gethostname()}"
    background = [
        asyncio.create_task(counters.run()),
        asyncio.create_task(watch(bridge)),
        asyncio.create_task(_report_progress(store.fleet, name)),
    ]
    try:
        yield _url(settings.bridge_host, _port(http))
    finally:
        http.stop()
        await _finish(http, bridge.under_way)
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
    """Until SIGTERM or SIGINT."""
    stop = stop_signal()
    async with running(settings, enqueue, fetch_certificate=fetch_certificate) as url:
        if not settings.sns_topic_arns:
            log.warning("EAGLE_SNS_TOPIC_ARNS is empty: every message from SNS is refused")
        log.info(
            "listening", url=url, api=settings.api_token is not None, topics=settings.sns_topic_arns
        )
        await stop.wait()
        log.info("stopping")


async def _report_progress(fleet: Fleet, name: str) -> None:
    while True:
        with contextlib.suppress(
            RedisUnavailable
        ):  # every route that needs Redis reports that itself
            await fleet.note_progress(name, {})
        await asyncio.sleep(HEARTBEAT)


async def _waiting(settings: Settings, fleet: Fleet, broker: Broker) -> dict[str, int]:
    names = [
        DISPATCH,
        ADHOC,
        *fetch_queues(settings.fetch_queues),
        *map(rotate_queue, await fleet.nodes()),
    ]
    return await asyncio.to_thread(broker.waiting, names)


def _unarchived(settings: Settings) -> Unarchived:
    folder = wiring.log_folder(settings)
    now, grace = settings.clock.now(), settings.rotate_grace
    hours = [hour for hour in folder.hours() if is_over(hour, grace, now)]
    late = {
        hour: folder.open_written(hour, *late_arrivals_between(hour, grace, now)) for hour in hours
    }
    files = {hour: found for hour in hours if (found := folder.unarchived(hour) - late[hour]) > 0}
    stuck = {hour: folder.stuck(hour) for hour in files}
    waiting = [
        float(hour.start)
        for hour in files
        if len(stuck[hour]) < min(folder.users_waiting(hour), files[hour])
    ]
    return Unarchived(
        len(files), sum(files.values()), min(waiting, default=None), sum(map(len, stuck.values()))
    )


async def _finish(http: BoundedServer, under_way: Collection[object]) -> None:
    """Requests under way are answered; whoever takes longer is cut off."""
    until = time.monotonic() + _GRACE
    while under_way and time.monotonic() < until:  # noqa: ASYNC110  (once in a life; an event would be kept for nothing)
        await asyncio.sleep(0.02)
    if under_way:
        log.warning("requests were cut off", requests=len(under_way))
    await http.close_all_connections()


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _port(http: BoundedServer) -> int:
    port: int = next(iter(http._sockets.values())).getsockname()[1]  # noqa: SLF001  (Tornado does not tell otherwise)
    return port
