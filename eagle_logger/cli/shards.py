"""`eagle-logger shards`"""

from __future__ import annotations

import click

from eagle_logger.cli.click_groups import CommandGroup
from eagle_logger.cli.options import with_settings
from eagle_logger.cli.user_store_context import with_users
from eagle_logger.settings import Settings


@click.group(cls=CommandGroup)
def shards() -> None:
    """How many groups the users are divided into."""


@shards.command()
@with_settings
def show(settings: Settings) -> None:
    """Show the number of shards with which the system was first started."""
    agreed = with_users(settings, lambda store: store.fleet.shards())
    print(agreed or f"not agreed on yet: the first start writes EAGLE_SHARDS ({settings.shards})")


@shards.command("set")
@with_settings
@click.argument("number", type=click.IntRange(1, 4096))
def set_(settings: Settings, *, number: int) -> None:
    """Change the number of shards.

    Stop the workers first. Start them again with EAGLE_SHARDS set to the same number. Log files in
    folders of the old number are still found and rotated.
    """
    with_users(settings, lambda store: store.fleet.set_shards(number))
    print(f"{number} shards from the next start on; start everything with EAGLE_SHARDS={number}")
