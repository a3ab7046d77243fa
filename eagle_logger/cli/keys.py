"""`eagle-logger keys`"""

from __future__ import annotations

import click

from eagle_logger.cli.click_groups import CommandGroup
from eagle_logger.cli.options import with_settings
from eagle_logger.cli.user_store_context import with_users
from eagle_logger.settings import Settings
from eagle_logger.users.cipher import new_key


@click.group(cls=CommandGroup)
def keys() -> None:
    """The keys that encrypt passwords."""


@keys.command()
def generate() -> None:
    """Print a new key, for EAGLE_SECRET_KEYS or the file that EAGLE_SECRET_KEYS_FILE names."""
    print(new_key())


@keys.command()
@with_settings
def rotate(settings: Settings) -> None:
    """Encrypt every password anew with the newest key, the first in EAGLE_SECRET_KEYS.

    Put the new key first, keep the old ones behind it, rotate, and only then take the old ones out.
    The command is refused while a running process does not know the newest key. A process reads a
    key file again within seconds, and EAGLE_SECRET_KEYS only when it starts.
    """
    changed = with_users(settings, lambda store: store.users.reseal(), passwords=True)
    print(f"{changed} passwords encrypted anew; all are sealed with the newest key")
