"""`eagle-logger decode`"""

from __future__ import annotations

import sys
import time
from typing import BinaryIO

import click

from eagle_logger.cli.options import CLOUD_ID
from eagle_logger.cli.terminal_text import harmless, print_json
from eagle_logger.core.line_format import encode_line
from eagle_logger.core.reading_flags import flags_for
from eagle_logger.rainforest.decoding.decode import LARGEST_BODY
from eagle_logger.rainforest.decoding.decode import decode as decode_reply


@click.command()
@click.argument("file", type=click.File("rb"), default="-")
@click.option(
    "--cloud-id",
    type=CLOUD_ID,
    default="000000",
    show_default=True,
    help="The user whose reply it is. Each line names this user.",
)
def decode(file: BinaryIO, cloud_id: str) -> None:
    """Show what the system makes of a reply, in FILE or on standard input.

    Prints one JSON line per reading, as it would be logged if it arrived now. Problems go to
    standard error, without what is secret. Exit 0 if there is a reading, or a known notification
    that carries none. Exit 1 otherwise.
    """
    decoded = decode_reply(file.read(LARGEST_BODY + 1))
    arrived = time.time()
    readings = [*decoded.readings, *(undated.dated(arrived) for undated in decoded.undated)]
    for reading in readings:
        line = encode_line(cloud_id, reading, arrived, flags_for(reading, arrived, {}))
        print_json(line)
    for problem in decoded.problems:
        click.echo(harmless(f"{problem.what}: {problem.detail}"), err=True)
        for sample_line in (problem.sample or "").strip().splitlines():
            click.echo(f"  {harmless(sample_line)}", err=True)
    if not readings and not decoded.problems:
        click.echo("no reading in it" if decoded.known else "there is nothing in it", err=True)
    sys.exit(0 if decoded.known else 1)
