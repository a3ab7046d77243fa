"""Poison users: those whose reply kills the process that handles it.

A process that dies may have been fetching many users, so one death does not show which of them
killed it. A user is a suspect once two processes in a row have died while they fetched it. A
suspect rests for some seconds, and is then fetched alone: no other suspect is fetched at the same
time, and the users who shared a message with it have been fetched before. An innocent suspect is
cleared by its first report. If processes keep dying while they fetch a suspect alone, it is parked
after five deaths in all.

Many suspects at once mean that the processes died of something else. If they are more than a tenth
of all users, further deaths do not count. If they are more than half, suspects are also fetched
like all other users, after their rest. Either holds for more than sixty suspects.

The Lua scripts do the same (`users/redis/scripts/lease.lua`).
"""

from __future__ import annotations

SUSPECTED_AFTER_DEATHS = 2
PARKED_AFTER_DEATHS = 5
"""Deaths in a row, without a report between them."""
FEW_SUSPECTS = 3
"""Users. So few are always fetched alone, even if they are more than half of a small fleet."""
MANY_SUSPECTS = 60
"""Users. More suspects than this, or than half of all users, are not fetched alone. So many take a
minute, because one is fetched each second."""
SHORTEST_REST_S = 5.0
"""Real seconds from the death to a suspect's next fetch. Meanwhile the users who shared its message
are fetched."""


def is_suspect(deaths: int) -> bool:
    return deaths >= SUSPECTED_AFTER_DEATHS


def is_poison(deaths: int) -> bool:
    """Whether so many deaths park a user."""
    return deaths >= PARKED_AFTER_DEATHS


def are_too_many(suspects: int, users: int) -> bool:
    """Whether there are too many suspects among so many users to fetch each alone."""
    return suspects > max(FEW_SUSPECTS, min(users / 2, MANY_SUSPECTS))


def are_few(suspects: int, users: int) -> bool:
    """Whether there are so few suspects among so many users that the death of one that is fetched
    alone counts.

    Innocent suspects are soon cleared. If many are not, a worker dies of something else; it may be
    the only one that fetches the users of its queue.
    """
    return suspects <= max(FEW_SUSPECTS, min(users / 10, MANY_SUSPECTS))


def rest(cloud_id: str, now: float) -> float:
    """Real seconds that a suspect rests: the shortest rest, and up to ten more. Cloud id and time
    decide how many more, so that suspects fall due one after the other, in another order each time.
    """
    return SHORTEST_REST_S + int(cloud_id, 16) % 97 * (1 + int(now) % 96) % 97 / 10


def wait(cloud_id: str, now: float) -> float:
    """Real seconds that a suspect waits before it falls due again, if another one is being fetched:
    about one. They differ like those of `rest`. Otherwise a few suspects whose messages no worker
    takes would have every turn, and the other suspects none."""
    return rest(cloud_id, now) / 10


def deaths_after(deaths: int, *, alone: bool) -> int:
    """The deaths in a row of a user if the process that fetches it now dies. `alone`: the user is
    the one suspect that is fetched alone. A death counts against no other suspect."""
    return deaths if is_suspect(deaths) and not alone else deaths + 1
