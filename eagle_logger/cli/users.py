"""`eagle-logger users`"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import click
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from eagle_logger import wiring
from eagle_logger.cli.click_groups import CommandGroup
from eagle_logger.cli.options import CLOUD_ID, with_settings
from eagle_logger.cli.status_text import LEASED_IN_WORDS
from eagle_logger.cli.terminal_text import harmless
from eagle_logger.cli.user_store_context import with_users
from eagle_logger.cli.users_export import export
from eagle_logger.cli.users_import import import_
from eagle_logger.core.hours import iso
from eagle_logger.core.in_step import rhythm_in_words, turns_of
from eagle_logger.core.kinds import KINDS
from eagle_logger.errors import EagleError, Permanent, UnknownUser
from eagle_logger.fetching.visit import POISON
from eagle_logger.settings import Settings
from eagle_logger.users.store import Outline, StoredUser, Users, UserStore, WakeResult
from eagle_logger.users.user_json import new_user

_LONGEST_PASSWORD_INPUT = 4096
"""Bytes of standard input that are read as a password. A valid password is shorter."""
_COLUMNS = ("cloud id", "turn", "last reading", "readings", "failures", "own cadence", "MacId")


@click.group(cls=CommandGroup)
def users() -> None:
    """The users who are fetched: add, list, show, wake, remove; import and export many at once."""


users.add_command(export)
users.add_command(import_)


def _interval_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command one option for each kind: `--demand-interval`, `--summation-interval`, …"""
    for spec in reversed(list(KINDS.values())):
        command = click.option(
            f"--{spec.kind}-interval",
            spec.interval_name,
            type=float,
            metavar="SECONDS",
            help=f"The user's own {spec.kind} interval (default: the fleet's).",
        )(command)
    return command


@users.command()
@with_settings
@click.argument("cloud_id", type=CLOUD_ID)
@click.option("--email", required=True, help="The e-mail address of the account at the relay.")
@_interval_options
@click.option(
    "--mac-id", metavar="0x…", help="The gateway's own MAC, if the account has several gateways."
)
@click.option(
    "--in-step/--plain",
    default=None,
    help="Whether its turns follow its meter's rhythm (default: as EAGLE_IN_STEP says).",
)
def add(
    settings: Settings,
    *,
    cloud_id: str,
    email: str,
    mac_id: str | None,
    in_step: bool | None,
    **intervals: float | None,
) -> None:
    """Add a user, or give one a new password.

    A parked user wakes. The command asks for the password, or reads it from standard input when
    that is not a terminal. Intervals that the command does not name follow the fleet's cadence
    again.
    """
    wiring.cipher(settings)  # a missing key is an error before a person types a password
    members = {
        "cloud_id": cloud_id,
        "user_email": email,
        "user_pw": _read_password(cloud_id),
        "mac_id": mac_id,
        "in_step": in_step,
        **intervals,
    }
    try:
        user = new_user(members)
    except ValueError as exc:
        raise Permanent(f"{cloud_id}: {exc}") from None

    async def put(store: UserStore) -> bool:
        is_known = await store.users.get(cloud_id) is not None
        await store.users.put([user])
        return is_known

    was_known = with_users(settings, put, passwords=True)
    print(f"{cloud_id} {'updated' if was_known else 'added'}")


def _read_password(cloud_id: str) -> str:
    try:
        if sys.stdin.isatty():
            return str(click.prompt(f"Password of {cloud_id}", hide_input=True))
        line = sys.stdin.buffer.read(_LONGEST_PASSWORD_INPUT).decode()
    except UnicodeDecodeError:
        raise Permanent(f"{cloud_id}: user_pw: must be text in UTF-8") from None
    password = line.removesuffix("\n").removesuffix("\r")
    if not password:
        raise Permanent(f"{cloud_id}: a password is missing: there was none on standard input")
    return password


@users.command("list")
@with_settings
def list_(settings: Settings) -> None:
    """List all users, in order of cloud id. In a pipe: a line for each user, columns separated by
    tabs."""
    console = Console()
    columns = [Column(heading, overflow="fold") for heading in _COLUMNS]
    table = Table(*columns) if console.is_terminal else None

    async def show_all(store: UserStore) -> None:
        async for batch in store.users.all(batch=2000):
            for stored in batch:
                row = _row_of(stored)
                print("\t".join(row)) if table is None else table.add_row(*map(Text, row))

    with_users(settings, show_all)
    if table is not None:
        console.print(table)


def _row_of(stored: StoredUser) -> tuple[str, ...]:
    state = stored.state
    return (
        stored.user.cloud_id,
        _turn_in_words(stored),
        "never" if state.last_timestamp is None else iso(state.last_timestamp),
        str(state.total_events_logged),
        str(state.failures),
        _cadence_in_words(stored) or "-",
        stored.user.mac_id or "-",
    )


def _turn_in_words(stored: StoredUser) -> str:
    if stored.state.parked:
        return f"parked: {harmless(stored.state.parked)}"
    if stored.unreadable:
        return harmless(stored.unreadable)
    return LEASED_IN_WORDS if stored.due is None else f"due {iso(stored.due)}"


def _cadence_in_words(stored: StoredUser) -> str:
    return ", ".join(f"{kind} {seconds:g} s" for kind, seconds in stored.user.intervals.items())


@users.command()
@with_settings
@click.argument("cloud_id", type=CLOUD_ID)
def show(settings: Settings, *, cloud_id: str) -> None:
    """Show all about one user but its password."""
    stored = with_users(settings, lambda store: store.users.get(cloud_id))
    if stored is None:
        raise _unknown_user(cloud_id)
    state, rhythm = stored.state, stored.state.rhythm
    turns = turns_of(
        stored.user,
        settings.intervals,
        fleet_in_step=settings.in_step,
        tick=settings.clock.stretched(1.0),
    )
    facts = {
        "cloud_id": cloud_id,
        "user_email": harmless(_decrypted_email(settings, stored)),
        "mac_id": stored.user.mac_id,
        "own cadence": _cadence_in_words(stored),
        "turn": _turn_in_words(stored),
        "rhythm": rhythm_in_words(rhythm, turns),
        "requests per reading": round(rhythm.requests_per_reading, 2) or None,
        "age at arrival": f"{rhythm.age:.1f} s (estimated)" if rhythm.period else None,
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


def _decrypted_email(settings: Settings, stored: StoredUser) -> str:
    try:
        return wiring.cipher(settings).open(stored.user.cloud_id, stored.sealed).user_email
    except (EagleError, ValueError):
        return "(encrypted; no key for it here)"


@users.command()
@with_settings
@click.argument("cloud_ids", type=CLOUD_ID, nargs=-1, metavar="CLOUD_ID...")
@click.option(
    "--all",
    "wake_all",
    is_flag=True,
    help="All users who are parked or wait, except those whose replies kill a worker.",
)
def wake(settings: Settings, *, cloud_ids: tuple[str, ...], wake_all: bool) -> None:
    """Have parked users fetched again, with the passwords they have.

    Users who wait after failures fall due at once, too. Their count of failures begins anew, so a
    user whom the relay still refuses is parked again, or waits again. `users add` corrects a wrong
    password.
    """
    if wake_all == bool(cloud_ids):
        raise click.UsageError("name the users to wake, or say --all")

    async def wake_users(store: UserStore) -> WakeResult:
        asleep = (
            [outline.cloud_id async for outline in _users_asleep(store.users)] if wake_all else []
        )
        return await store.schedule.wake(asleep or cloud_ids)

    result = with_users(settings, wake_users)
    if wake_all:
        count = len(result.woken)
        print(f"{count} {'user' if count == 1 else 'users'} woken")
        return
    for cloud_id in result.woken:
        print(f"{cloud_id} woken")
    for cloud_id in result.awake:
        print(f"{cloud_id} is not parked, nor does it wait after a failure")
    if result.unknown:
        raise _unknown_user(*result.unknown)


async def _users_asleep(users: Users) -> AsyncIterator[Outline]:
    """Users who are parked or have failed. Those whose replies kill a worker are left out, and wake
    only by name."""
    async for batch in users.outlines():
        for outline in batch:
            parked = outline.parked or ""
            if (parked or outline.failures) and not parked.startswith(POISON):
                yield outline


@users.command()
@with_settings
@click.argument("cloud_ids", type=CLOUD_ID, nargs=-1, required=True, metavar="CLOUD_ID...")
def remove(settings: Settings, *, cloud_ids: tuple[str, ...]) -> None:
    """Stop fetching these users.

    Their passwords and state are forgotten. What was logged stays.
    """

    async def remove_all(store: UserStore) -> list[str]:
        unknown = []
        for cloud_id in cloud_ids:
            if await store.users.remove(cloud_id):
                print(f"{cloud_id} removed")
            else:
                unknown.append(cloud_id)
        return unknown

    unknown = with_users(settings, remove_all)
    if unknown:
        raise _unknown_user(*unknown)


def _unknown_user(*cloud_ids: str) -> UnknownUser:
    return UnknownUser(
        f"there is no user {', '.join(cloud_ids)}; `eagle-logger users list` shows all users"
    )
