"""`eagle-logger users`"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from eagle_logger import wiring
from eagle_logger.cli.click_groups import CommandGroup
from eagle_logger.cli.options import with_settings
from eagle_logger.cli.terminal_text import harmless
from eagle_logger.cli.user_store_context import checked_cloud_id, with_users
from eagle_logger.core.hours import iso
from eagle_logger.core.kinds import KINDS
from eagle_logger.disk.atomic_files import replacement
from eagle_logger.errors import EagleError, Permanent, UnknownUser
from eagle_logger.fetching.visit import POISON
from eagle_logger.settings import Settings
from eagle_logger.users.importing import Imported, import_users
from eagle_logger.users.store import Outline, StoredUser, Users, UserStore, WakeResult
from eagle_logger.users.user_json import as_line, new_user

_LONGEST_INPUT = 4096
"""Bytes that are read of a password on standard input. A valid password is shorter."""
_COLUMNS = ("cloud id", "turn", "last reading", "readings", "failures", "own cadence", "MacId")


@click.group(cls=CommandGroup)
def users() -> None:
    """Who is fetched: add, list, show, wake, remove; import and export many at once."""


def _interval_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """One option for each kind: `--demand-interval`, `--summation-interval`, …"""
    for spec in reversed(list(KINDS.values())):
        command = click.option(
            f"--{spec.kind}-interval",
            spec.interval_name,
            type=float,
            metavar="SECONDS",
            help=f"Its own {spec.kind} interval (default: the fleet's).",
        )(command)
    return command


@users.command()
@with_settings
@click.argument("cloud_id")
@click.option("--email", required=True, help="What it logs in with at the relay.")
@_interval_options
@click.option(
    "--mac-id", metavar="0x…", help="The gateway's own MAC, if the account has several gateways."
)
def add(
    settings: Settings, *, cloud_id: str, email: str, mac_id: str | None, **intervals: float | None
) -> None:
    """Add a user, or give one a new password.

    A parked one wakes. Asks for the password, or reads it from standard input when that is not a
    terminal. Intervals that are not given follow the fleet's cadence again.
    """
    name = checked_cloud_id(cloud_id)
    wiring.cipher(settings)  # complain about a missing key before asking for a password
    members = {
        "cloud_id": name,
        "user_email": email,
        "user_pw": _password(name),
        "mac_id": mac_id,
        **intervals,
    }
    try:
        user = new_user(members)
    except ValueError as exc:
        raise Permanent(f"{name}: {exc}") from None

    async def put(store: UserStore) -> bool:
        known = await store.users.get(name) is not None
        await store.users.put([user])
        return known

    print(f"{name} {'updated' if with_users(settings, put, passwords=True) else 'added'}")


def _password(name: str) -> str:
    try:
        if sys.stdin.isatty():
            return str(click.prompt(f"Password of {name}", hide_input=True))
        password = (
            sys.stdin.buffer.read(_LONGEST_INPUT).decode().removesuffix("\n").removesuffix("\r")
        )
    except UnicodeDecodeError:
        raise Permanent(f"{name}: user_pw: must be text in UTF-8") from None
    if not password:
        raise Permanent(f"{name}: a password is missing: there was none on standard input")
    return password


@users.command("list")
@with_settings
def list_(settings: Settings) -> None:
    """Everybody, in order of cloud id. In a pipe: one line each, columns separated by tabs."""
    console = Console()
    table = Table(*_COLUMNS) if console.is_terminal else None

    async def show_all(store: UserStore) -> None:
        async for batch in store.users.all(batch=2000):
            for stored in batch:
                row = _row(stored)
                print("\t".join(row)) if table is None else table.add_row(*map(Text, row))

    with_users(settings, show_all)
    if table is not None:
        console.print(table)


def _row(stored: StoredUser) -> tuple[str, ...]:
    state = stored.state
    return (
        stored.user.cloud_id,
        _turn(stored),
        "never" if state.last_timestamp is None else iso(state.last_timestamp),
        str(state.total_events_logged),
        str(state.failures),
        _cadence(stored) or "-",
        stored.user.mac_id or "-",
    )


def _turn(stored: StoredUser) -> str:
    if stored.state.parked:
        return f"parked: {harmless(stored.state.parked)}"
    if stored.unreadable:
        return harmless(stored.unreadable)
    return "being fetched" if stored.due is None else f"due {iso(stored.due)}"


def _cadence(stored: StoredUser) -> str:
    return ", ".join(f"{kind} {seconds:g} s" for kind, seconds in stored.user.intervals.items())


@users.command()
@with_settings
@click.argument("cloud_id")
def show(settings: Settings, *, cloud_id: str) -> None:
    """All about one user but its password."""
    name = checked_cloud_id(cloud_id)
    stored = with_users(settings, lambda store: store.users.get(name))
    if stored is None:
        raise _unknown(name)
    state = stored.state
    facts = {
        "cloud_id": name,
        "user_email": harmless(_email(settings, stored)),
        "mac_id": stored.user.mac_id,
        "own cadence": _cadence(stored),
        "turn": _turn(stored),
        "readings": state.total_events_logged,
        "first reading": None if state.first_timestamp is None else iso(state.first_timestamp),
        "last reading": None if state.last_timestamp is None else iso(state.last_timestamp),
        "failures in a row": state.failures,
        "last error": state.last_error and harmless(state.last_error),
    }
    _print_facts({fact: str(value) for fact, value in facts.items() if value not in (None, "")})


def _print_facts(facts: dict[str, str]) -> None:
    console = Console()
    if console.is_terminal:
        table = Table.grid(padding=(0, 2))
        for fact, value in facts.items():
            table.add_row(fact, Text(value))
        console.print(table)
    else:
        for fact, value in facts.items():
            print(f"{fact}\t{value}")


def _email(settings: Settings, stored: StoredUser) -> str:
    try:
        return wiring.cipher(settings).open(stored.user.cloud_id, stored.sealed).user_email
    except (EagleError, ValueError):
        return "(encrypted; no key for it here)"


@users.command()
@with_settings
@click.argument("cloud_ids", nargs=-1, metavar="CLOUD_ID...")
@click.option(
    "--all",
    "everybody",
    is_flag=True,
    help="All who are parked or wait, unless their replies kill the process.",
)
def wake(settings: Settings, *, cloud_ids: tuple[str, ...], everybody: bool) -> None:
    """Have parked users fetched again, with the passwords they have.

    Users who wait after failures fall due at once, too. Their count of failures begins anew, so a
    user whom the relay still refuses is parked again, or waits again. `users add` corrects a wrong
    password.
    """
    if everybody == bool(cloud_ids):
        raise click.UsageError("name the users to wake, or say --all")
    names = [checked_cloud_id(text) for text in cloud_ids]

    async def wake_them(store: UserStore) -> WakeResult:
        return await store.schedule.wake(
            names or [outline.cloud_id async for outline in _asleep(store.users)]
        )

    found = with_users(settings, wake_them)
    if everybody:
        print(f"{len(found.woken)} users woken")
        return
    for word, some in (
        ("woken", found.woken),
        ("is not parked, nor does it wait after a failure", found.awake),
    ):
        for name in some:
            print(f"{name} {word}")
    if found.unknown:
        raise _unknown(*found.unknown)


async def _asleep(users: Users) -> AsyncIterator[Outline]:
    """Users who are parked or have failed, except those whose reply kills the process: `wake` needs
    their names."""
    async for batch in users.outlines():
        for outline in batch:
            if (outline.parked or outline.failures) and not (outline.parked or "").startswith(
                POISON
            ):
                yield outline


@users.command()
@with_settings
@click.argument("cloud_ids", nargs=-1, required=True, metavar="CLOUD_ID...")
def remove(settings: Settings, *, cloud_ids: tuple[str, ...]) -> None:
    """Fetch these no more.

    Their passwords and state are forgotten; what was logged stays.
    """
    names = [checked_cloud_id(text) for text in cloud_ids]

    async def remove_all(store: UserStore) -> list[str]:
        unknown = []
        for name in names:
            if await store.users.remove(name):
                print(f"{name} removed")
            else:
                unknown.append(name)
        return unknown

    unknown = with_users(settings, remove_all)
    if unknown:
        raise _unknown(*unknown)


def _unknown(*names: str) -> UnknownUser:
    return UnknownUser(
        f"there is no user {', '.join(names)}; `eagle-logger users list` shows all users"
    )


@users.command("import")
@with_settings
@click.argument("file", type=click.File("rb"))
def import_(settings: Settings, *, file: BinaryIO) -> None:
    """Add users from FILE, one JSON object a line.

    FILE may be - for standard input. Members: cloud_id, user_email, user_pw; if they differ from
    the fleet's, intervals ({"demand": 10, ...}) and mac_id. What `export` wrote is taken too. A
    line is imported whole, or refused and reported; of two lines of one user the later wins.
    """
    with _progress(file) as tell:
        result = with_users(
            settings, lambda store: import_users(store.users, file, on_line=tell), passwords=True
        )
    _report(result)
    if result.refused:
        sys.exit(1)


@contextlib.contextmanager
def _progress(file: BinaryIO) -> Iterator[Callable[[int], None]]:
    console = Console(stderr=True)
    columns = (
        TextColumn("importing"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("bytes"),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("importing", total=_size(file))
        yield lambda size: progress.advance(task, size)


def _size(file: BinaryIO) -> int | None:
    """None if it cannot be told: a pipe."""
    try:
        return os.fstat(file.fileno()).st_size or None
    except (OSError, ValueError):
        return None


def _report(result: Imported) -> None:
    for number, what in sorted(result.replaced + result.refused):
        print(f"line {number}: {what}", file=sys.stderr)
    print(
        f"{result.users} lines imported, {len(result.refused)} refused, {len(result.replaced)} replaced an earlier one"
    )


@users.command()
@with_settings
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True), default="-")
def export(settings: Settings, *, file: str) -> None:
    """Write everybody out, passwords encrypted.

    To FILE (replaced only once everybody is written), or to standard output; one JSON object a
    line. The backup of what cannot be fetched anew: keep it, and the keys in another place.
    `import` reads it. It leaves out users whose record cannot be read, names them on standard
    error, and exits with 1.
    """
    left_out: list[str] = []

    async def write_all(store: UserStore) -> None:
        before, listed = (await store.fleet.totals()).users, 0
        async for batch in store.users.all(batch=2000):
            listed += len(batch)
            for stored in batch:
                line, why = _backed_up(stored)
                backup.write(line)
                if why:
                    left_out.append(f"{stored.user.cloud_id}: {why}")

        # Users who were added or removed meanwhile do not count.
        lost = min(before, (await store.fleet.totals()).users) - listed
        if lost > 0:
            left_out.append(
                f"{lost} users who have no record in Redis: `eagle-logger users add` enters one again"
            )

    with _written_whole(file) as backup:
        with_users(settings, write_all)
    for which in left_out:
        print(f"left out: {which}", file=sys.stderr)
    if left_out:
        sys.exit(1)


def _backed_up(stored: StoredUser) -> tuple[str, str | None]:
    """A user's line; or an empty text, and why there is no line."""
    if not stored.sealed:
        return "", stored.unreadable or "it has no password"
    try:
        return f"{as_line(stored)}\n", None
    except ValueError as exc:
        return "", f"cannot be imported again: {exc}".partition("\n")[0]


@contextlib.contextmanager
def _written_whole(file: str) -> Iterator[TextIO]:
    """A file that takes its name only if all goes well. (click's atomic files take it even when
    something failed.)"""
    path = Path(file)
    if file == "-" or (path.exists() and not path.is_file()):  # a pipe, or /dev/stdout
        with click.open_file(file, "w", encoding="utf-8") as text:
            yield cast("TextIO", text)
        return
    try:
        with replacement(path) as text:
            yield text
    except OSError as exc:
        raise click.FileError(file, exc.strerror) from None
