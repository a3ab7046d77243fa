"""`eagle-logger up`"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from eagle_logger.simulator.relay.homes import MOST_HOMES


@click.command()
@click.option(
    "--data",
    "data_dir",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="EAGLE_DATA_DIR",
    default=Path("data"),
    show_default="EAGLE_DATA_DIR, else ./data",
    help="Data directory.",
)
@click.option(
    "--homes",
    type=click.IntRange(1, MOST_HOMES),
    help="Simulate this many homes, and Amazon's S3, SNS and SQS.",
)
@click.option(
    "--for",
    "seconds",
    type=click.FloatRange(0, min_open=True),
    help="End this long after everything is ready.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="The summary as JSON, on the last line of standard output.",
)
def up(data_dir: Path, *, homes: int | None, seconds: float | None, as_json: bool) -> None:
    """Run the whole system on this machine.

    Redis (unless EAGLE_REDIS_URL is set), the workers that fetch, rotate and make day tables (if
    pyarrow is installed), beat, the bridge and Flower, as real processes that are restarted when
    they die. Ctrl-C stops it gracefully. With --for or --json what is still open is archived at the
    end and gets day tables, a summary is printed, and the exit code is 1 if a reading was lost or
    is there twice.
    """
    from workers.up.main_loop import run  # noqa: PLC0415  (loads supervisor, boto3 and more, which help pages do not need)

    sys.exit(run(data_dir, homes=homes, seconds=seconds, as_json=as_json))
