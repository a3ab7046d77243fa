"""`eagle-logger simulate`: a relay with simulated homes, where there is no gateway."""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import ssl
import sys
from collections.abc import Iterable
from pathlib import Path

import click

from eagle_logger import settings
from eagle_logger.clock import Clock
from eagle_logger.disk.atomic_files import replacement
from eagle_logger.errors import ConfigurationError
from eagle_logger.simulator.relay.faults import RelayFaults
from eagle_logger.simulator.relay.homes import MOST_HOMES, Home, homes
from eagle_logger.simulator.relay.ledger import Ledger
from eagle_logger.simulator.relay.relay import RELAY_PATH, SimulatedRelay
from eagle_logger.simulator.relay.trace import TracedMeter, read_trace

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option(
    "--homes",
    "number",
    type=click.IntRange(1, MOST_HOMES),
    default=25,
    show_default=True,
    help="How many homes.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="0: a free one."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="The same seed gives the same homes and the same days.",
)
@click.option("--faults", "faults_file", type=_FILE, help="JSON, as GET /faults shows it.")
@click.option(
    "--ledger",
    "ledger_file",
    type=_FILE,
    help="Append the ledger to this file. Default: keep no ledger.",
)
@click.option(
    "--latency",
    type=click.FloatRange(0, 3600),
    default=0.2,
    show_default=True,
    help="Seconds that a reply takes.",
)
@click.option(
    "--latency-spread",
    type=click.FloatRange(0, 3600),
    default=0.05,
    show_default=True,
    help="Seconds by which a reply may be faster or slower.",
)
@click.option(
    "--trace",
    "trace_file",
    type=_FILE,
    help='Meters follow this recorded trace, a JSON line for each reading: {"made": …, "shows": …} '
    "(Unix seconds). It begins now, and again when it ends; homes are spread over it.",
)
@click.option(
    "--trace-together", is_flag=True, help="All meters of the trace speak at the same moment."
)
@click.option("--certificate", type=_FILE, help="Speak TLS with this PEM: certificate and key.")
@click.option(
    "--users-file", type=_FILE, help="Write the homes' accounts here, for `users import`."
)
def simulate(  # noqa: PLR0917  (click calls it by name)
    number: int,
    port: int,
    host: str,
    seed: int,
    faults_file: Path | None,
    ledger_file: Path | None,
    latency: float,
    latency_spread: float,
    trace_file: Path | None,
    trace_together: bool,
    certificate: Path | None,
    users_file: Path | None,
) -> None:
    """Be a Rainforest relay with simulated homes.

    Prints its URL when it is ready. GET /ledger shows what it served, GET /stats how politely it
    was asked, and GET /faults what goes wrong. PUT /faults changes that
    (docs/reference/simulated-relay.md lists the faults). Ends on Ctrl-C or SIGTERM.
    """
    # The simulator asks no relay. With a fixed address, a mistake in EAGLE_RELAY_URL does no harm.
    clock = settings.load(relay_url="http://127.0.0.1").clock
    population = homes(number, seed)
    for home in population:
        _ = home.household  # computed now, so that no first reply waits for it
    if users_file is not None:
        try:
            write_users(users_file, population)
        except OSError as exc:
            raise ConfigurationError(f"--users-file {users_file}: {exc.strerror}") from None
    relay = SimulatedRelay(
        population,
        _open_ledger(ledger_file),
        seed=seed,
        clock=clock,
        faults=_read_faults(faults_file, population, clock),
        latency=latency,
        spread=latency_spread,
        traced=_traced_meter(trace_file, clock, together=trace_together),
    )
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(
            _serve_until_stopped(
                relay, host, port, _tls_context(certificate), f"{number} homes, seed {seed}"
            )
        )


def write_users(path: Path, population: Iterable[Home]) -> None:
    """The homes' made-up accounts as JSON lines, in a file that only its owner may read."""
    with replacement(path) as file:
        for home in population:
            account = {
                "cloud_id": home.cloud_id,
                "user_email": home.user_email,
                "user_pw": home.user_pw,
            }
            file.write(json.dumps(account) + "\n")


async def _serve_until_stopped(
    relay: SimulatedRelay, host: str, port: int, tls: ssl.SSLContext | None, description: str
) -> None:
    stop = asyncio.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    try:
        url = await relay.start(host, port, tls=tls)
    except OSError as exc:
        raise ConfigurationError(f"cannot listen on {host}, port {port}: {exc.strerror}") from None
    gc.collect()
    gc.freeze()  # the homes stay, and searching them for garbage would cost more than serving them
    print(url, flush=True)
    print(
        f"Simulated Rainforest with {description}: EAGLE_RELAY_URL={url}{RELAY_PATH}",
        file=sys.stderr,
        flush=True,
    )
    await stop.wait()
    await relay.stop()


def _tls_context(certificate: Path | None) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate)
    except OSError as exc:  # an SSLError is one too
        raise ConfigurationError(f"--certificate {certificate}: {exc.strerror or exc}") from None
    return context


def _open_ledger(path: Path | None) -> Ledger:
    try:
        return Ledger(path)
    except OSError as exc:
        raise ConfigurationError(f"--ledger {path}: {exc.strerror}") from None


def _read_faults(path: Path | None, population: Iterable[Home], clock: Clock) -> RelayFaults | None:
    if path is None:
        return None
    try:
        return RelayFaults.parse(
            path.read_bytes(), {home.cloud_id for home in population}, clock.now()
        )
    except OSError as exc:
        raise ConfigurationError(f"--faults {path}: {exc.strerror}") from None
    except ValueError as exc:
        raise ConfigurationError(f"--faults {path}: {exc}") from None


def _traced_meter(path: Path | None, clock: Clock, *, together: bool) -> TracedMeter | None:
    if path is None:
        return None
    try:
        return TracedMeter(read_trace(path), clock.now(), together=together)
    except OSError as exc:
        raise ConfigurationError(f"--trace {path}: {exc.strerror}") from None
    except ValueError as exc:
        raise ConfigurationError(f"--trace {path}: {exc}") from None


def _loop_factory() -> type[asyncio.AbstractEventLoop]:
    try:
        import uvloop  # noqa: PLC0415  (not on every platform)
    except ImportError:
        return asyncio.SelectorEventLoop
    return uvloop.Loop
