"""Faults 10 and 12: people change, remove and import users while these are being fetched."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import redis

from eagle_logger import wiring
from eagle_logger.errors import KeyNotKnown
from eagle_logger.users.cipher import new_key
from eagle_logger.users.importing import import_users
from eagle_logger.users.store import NewUser
from eagle_logger.users.user_json import as_line
from tests.faults.scenario import Scenario, Strike, archiving, fetching
from tests.faults.system_under_test import Setup, Trial
from workers.up.data_dir import key_file, write_private_file
from workers.up.simulators import read_homes

SETUP = Setup(homes=12)
FETCHERS = ("fetch-1", "fetch-2")


def those(trial: Trial, numbers: Sequence[int]) -> list[NewUser]:
    known = read_homes(trial.plan.users_file)
    return [known[number] for number in numbers]


def put(trial: Trial, users: Sequence[NewUser]) -> None:
    trial.run(trial.store.users.put(users))


def remove(trial: Trial, users: Sequence[NewUser]) -> None:
    for new in users:
        assert trial.run(trial.store.users.remove(new.user.cloud_id))


def with_a_wrong_password(new: NewUser) -> NewUser:
    return replace(new, credentials=replace(new.credentials, user_pw="not-the-one"))


def wrong_password(numbers: Sequence[int], lasts: float, calm: float) -> Strike:
    return Strike(
        f"the homes {numbers} get a wrong password, and then the right one again",
        lambda trial: put(trial, [with_a_wrong_password(new) for new in those(trial, numbers)]),
        end=lambda trial: put(trial, those(trial, numbers)),
        lasts=lasts,
        calm=calm,
        flow=fetching,
    )


def removed(numbers: Sequence[int], lasts: float, calm: float) -> Strike:
    return Strike(
        f"the homes {numbers} are removed and added again",
        lambda trial: remove(trial, those(trial, numbers)),
        end=lambda trial: put(trial, those(trial, numbers)),
        lasts=lasts,
        calm=calm,
        flow=archiving,
    )


# Keys ---------------------------------------------------------------------------------------------


def take_a_new_key(trial: Trial) -> None:
    """Rotate the key as the how-to page says: put the new key before the old one, encrypt all
    passwords anew, remove the old key.

    An attempt to encrypt before every process has read the new key must change nothing.
    """
    keys = key_file(trial.data)
    old = keys.read_text().split()
    _put_keys(trial, [new_key(), *old])
    trial.until(lambda: _reseal(trial) == SETUP.homes)
    _put_keys(trial, keys.read_text().split()[:1])
    _restart_fetchers(trial)
    assert _reseal(trial) == 0


def _reseal(trial: Trial) -> int | None:
    """Encrypt passwords with the newest key; returns their number, or None while a process does not
    know the key yet."""
    try:
        return trial.run(trial.store.users.reseal())
    except KeyNotKnown:
        return None


def _put_keys(trial: Trial, keys: Sequence[str]) -> None:
    file = key_file(trial.data)
    write_private_file(file, "\n".join(keys) + "\n")
    trial.run(trial.store.close())
    trial.store = wiring.user_store(
        trial.settings.model_copy(update={"redis_url": trial.direct_redis_url}), passwords=True
    )


def _restart_fetchers(trial: Trial) -> None:
    for name in FETCHERS:
        before = trial.manager.pid(name)
        trial.signal(name, signal.SIGTERM)
        trial.until(lambda: trial.manager.pid(name) not in {0, before})  # noqa: B023  (called at once)
        trial.await_flow()


def new_keys(calm: float) -> Strike:
    return Strike(
        "a new key, all passwords encrypted anew, the old key removed",
        take_a_new_key,
        calm=calm,
        flow=fetching,
    )


# Users that are gone ------------------------------------------------------------------------------

_exports: dict[int, list[bytes]] = {}


def export_and_flush(trial: Trial) -> None:
    _exports[id(trial)] = [as_line(stored).encode() for stored in trial.everybody()]
    with redis.Redis.from_url(trial.direct_redis_url) as server:
        server.flushdb()


def import_again(trial: Trial) -> None:
    imported = trial.run(
        import_users(trial.store.users, _exports.pop(id(trial)), on_line=lambda _: None)
    )
    assert imported.users == SETUP.homes


def flushed(lasts: float, calm: float) -> Strike:
    return Strike(
        "FLUSHDB of the users' database, then `users import` of an export",
        export_and_flush,
        end=import_again,
        lasts=lasts,
        calm=calm,
        flow=archiving,
    )


def changed(chance: Random) -> Sequence[Strike]:
    def some() -> list[int]:
        return sorted(chance.sample(range(SETUP.homes), 5))

    return [
        wrong_password(some(), chance.uniform(0, 1), chance.uniform(1, 3)),
        wrong_password(some(), chance.uniform(8, 10), chance.uniform(1, 3)),
        removed(some(), 0.0, chance.uniform(1, 3)),
        removed(some(), chance.uniform(0, 4), chance.uniform(1, 3)),
    ]


SCENARIOS = [
    Scenario(
        "people",
        10,
        "credentials changed in the middle of a fetch, users removed and added again",
        changed,
        SETUP,
    ),
    Scenario(
        "people-keys",
        10,
        "keys rotated under load",
        lambda chance: [new_keys(chance.uniform(1, 3))],
        SETUP,
    ),
    Scenario(
        "people-flushed",
        12,
        "FLUSHDB of the users' database, twice, and `users import`",
        lambda chance: [flushed(chance.uniform(0, 3), chance.uniform(1, 4)) for _ in range(2)],
        SETUP,
    ),
]
