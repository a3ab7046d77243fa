"""`eagle-logger users export`"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO, cast

import click

from eagle_logger.cli.options import with_settings
from eagle_logger.cli.user_store_context import with_users
from eagle_logger.disk.atomic_files import replacement
from eagle_logger.settings import Settings
from eagle_logger.users.store import StoredUser, UserStore
from eagle_logger.users.user_json import as_line

_BATCH = 2000
"""Users that are read from Redis at once."""


@click.command()
@with_settings
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True), default="-")
def export(settings: Settings, *, file: str) -> None:
    """Write all users to FILE or to standard output, passwords encrypted, one JSON object a line.

    FILE is replaced only once all users are written. It is the backup of what cannot be fetched
    anew: keep it, and keep the keys in another place. `import` reads it. The command leaves out
    users whose record cannot be read, names them on standard error, and exits with 1.
    """
    left_out: list[str] = []

    async def write_all(store: UserStore) -> None:
        users_before, written_or_left_out = (await store.fleet.totals()).users, 0
        async for batch in store.users.all(batch=_BATCH):
            written_or_left_out += len(batch)
            for stored in batch:
                try:
                    line = _exported_line(stored)
                except ValueError as exc:
                    left_out.append(f"{stored.user.cloud_id}: {exc}")
                else:
                    backup.write(line)

        # Users who were added or removed meanwhile do not count.
        users = min(users_before, (await store.fleet.totals()).users)
        without_record = users - written_or_left_out
        if without_record > 0:
            left_out.append(
                f"{without_record} users who have no record in Redis: "
                "`eagle-logger users add` enters one again"
            )

    with _written_whole(file) as backup:
        with_users(settings, write_all)
    for reason in left_out:
        print(f"left out: {reason}", file=sys.stderr)
    if left_out:
        sys.exit(1)


def _exported_line(stored: StoredUser) -> str:
    """Raises ValueError, with the reason, if the user could not be imported again."""
    if not stored.sealed:
        raise ValueError(stored.unreadable or "it has no password")
    try:
        return f"{as_line(stored)}\n"
    except ValueError as exc:
        reason, _, _ = f"cannot be imported again: {exc}".partition("\n")
        raise ValueError(reason) from None


@contextlib.contextmanager
def _written_whole(file: str) -> Iterator[TextIO]:
    """A file that takes its name only if nothing fails. (click's atomic files take it in any
    case.)"""
    path = Path(file)
    if file == "-" or (path.exists() and not path.is_file()):  # a pipe, or /dev/stdout
        with click.open_file(file, "w", encoding="utf-8") as stream:
            yield cast("TextIO", stream)
        return
    try:
        with replacement(path) as unfinished:
            yield unfinished
    except OSError as exc:
        raise click.FileError(file, exc.strerror) from None
