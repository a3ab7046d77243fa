"""Poison users: those whose reply kills the process that handles it.

A process that dies takes all users it was fetching with it, so one death proves nothing. A user at
whose fetch two processes in a row have died is a suspect. A suspect rests for some seconds, and is
then fetched alone: no other suspect is fetched at the same time, and the users who shared a
message with it have been fetched before. An innocent suspect is cleared by its first report. A
suspect at whose fetch alone processes keep dying is parked, after five deaths in all.

Many suspects at once mean that the processes died of something else. Then suspects are fetched as
all others, after their rest, and nothing is held against them.

The Lua scripts do the same (`users/redis/scripts/lease.lua`).
"""

from __future__ import annotations

SUSPECTED_AFTER_DEATHS = 2
PARKED_AFTER_DEATHS = 5
"""Deaths in a row, without a report between them."""
FEW_SUSPECTS = 3
"""Users. So few are always fetched alone: a fleet may be small."""
MANY_SUSPECTS = 60
"""Users. So many take a minute if they are fetched alone, one a second. More, or more than half of
all users, are not fetched alone."""
SHORTEST_REST_S = 5.0
"""Real seconds from the death to a suspect's next fetch. Meanwhile the users who shared its message
are fetched."""
WAIT_S = 1.0
"""Real seconds after which a suspect whose turn it is not is looked at again."""


def is_suspect(deaths: int) -> bool:
    return deaths >= SUSPECTED_AFTER_DEATHS


def is_poison(deaths: int) -> bool:
    """Whether so many deaths park a user."""
    return deaths >= PARKED_AFTER_DEATHS


def are_too_many(suspects: int, users: int) -> bool:
    """Whether so many suspects among so many users are fetched as all others are."""
    return suspects > max(FEW_SUSPECTS, min(users / 2, MANY_SUSPECTS))


def rest(cloud_id: str, now: float) -> float:
    """Real seconds that a suspect rests: up to ten more than the shortest rest. They depend on its
    cloud id and the time, so that suspects come back spread, and in another order each time."""
    return SHORTEST_REST_S + int(cloud_id, 16) % 97 * (1 + int(now) % 96) % 97 / 10


def deaths_after(deaths: int, *, alone: bool) -> int:
    """The deaths in a row of a user if the process that fetches it now dies. `alone`: it is the one
    suspect that is fetched alone."""
    return deaths if is_suspect(deaths) and not alone else deaths + 1
