"""`eagle-logger simulate-s3`: a strict S3 on a directory, where there is no bucket."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import click

from eagle_logger.cli.options import with_settings
from eagle_logger.errors import ConfigurationError
from eagle_logger.settings import Settings
from eagle_logger.simulator.s3.server import StandInS3, serve


@click.command(name="simulate-s3")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="0: a free one."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the objects here (default: <data>/s3).",
)
@click.option(
    "--bucket",
    "buckets",
    multiple=True,
    default=("eagle",),
    show_default=True,
    help="Buckets to create.",
)
@with_settings
def simulate_s3(
    settings: Settings, port: int, host: str, directory: Path | None, buckets: tuple[str, ...]
) -> None:
    """Be an S3 that keeps its objects in a directory.

    Checks digests and conditions, and signatures too if EAGLE_AWS_ACCESS_KEY_ID is set. Prints its
    URL when it is ready. GET /_faults shows what goes wrong, and PUT /_faults changes that. Ends on
    Ctrl-C or SIGTERM.
    """
    asyncio.run(
        _serve_until_stopped(settings, host, port, directory or settings.data_dir / "s3", buckets)
    )


async def _serve_until_stopped(
    settings: Settings, host: str, port: int, directory: Path, buckets: tuple[str, ...]
) -> None:
    stop = asyncio.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    stand_in = StandInS3(directory, buckets=buckets, credentials=_accepted_credentials(settings))
    try:
        await serve(stand_in, host, port, stop, lambda url: print(url, flush=True))
    except OSError as exc:
        raise ConfigurationError(f"cannot listen on {host}, port {port}: {exc.strerror}") from None
    print("stopped", file=sys.stderr)


def _accepted_credentials(settings: Settings) -> dict[str, str] | None:
    secret = settings.aws_secret_access_key
    if settings.aws_access_key_id is None or secret is None:
        return None
    return {settings.aws_access_key_id: secret.get_secret_value()}
