"""Which keys each process knows. A process that has keys writes their fingerprints into its
progress note.

A password must not be sealed with a key that a living process does not know, because that process
could not fetch the user any more. So sealing and restoring are refused until every living process
knows the key.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from eagle_logger.errors import KeyNotKnown
from eagle_logger.users.cipher import Cipher

KEYS_MEMBER = "keys"
"""The member of a progress note that holds the fingerprints, separated by blanks."""
ALIVE_WITHIN_S = 15.0
"""Real seconds. A process that has noted progress within this time is alive."""

Note = Mapping[str, str | int | float]


def keys_note(cipher: Cipher | None) -> dict[str, str]:
    """What a process adds to its progress note: nothing if it has no keys."""
    return {} if cipher is None else {KEYS_MEMBER: " ".join(cipher.fingerprints)}


def refuse_unknown_key(cipher: Cipher, notes: Mapping[str, Note], now: float, alive: float) -> None:
    """Raise KeyNotKnown if a living process has keys, but not the one that `cipher` seals with.

    `now` is the store's time in Unix seconds; `alive` is `ALIVE_WITHIN_S` in that clock.
    """
    lacking = sorted(_processes_without({cipher.fingerprints[0]}, notes, now - alive))
    if lacking:
        raise KeyNotKnown(
            f"{', '.join(lacking)}: the first key in EAGLE_SECRET_KEYS is not known there, so "
            "nothing was encrypted with it. Put the same key first for every process. A process "
            "that has its keys from a file reads it within seconds; restart the others; then try "
            "again"
        )


def refuse_to_restore(
    fingerprints: AbstractSet[str], notes: Mapping[str, Note], now: float, alive: float
) -> None:
    """Raise KeyNotKnown if a living process has keys, but not all of those with which passwords to
    restore are sealed. `fingerprints` are those of these keys.

    `now` and `alive` are as for `refuse_unknown_key`.
    """
    lacking = sorted(_processes_without(fingerprints, notes, now - alive))
    if lacking:
        raise KeyNotKnown(
            f"{', '.join(lacking)}: a key that these passwords were encrypted with is not known "
            "there, so they were not restored. Put that key into EAGLE_SECRET_KEYS of every "
            "process, behind the first one. A process that has its keys from a file reads it "
            "within seconds; restart the others; then try again"
        )


def _processes_without(
    fingerprints: AbstractSet[str], notes: Mapping[str, Note], since: float
) -> set[str]:
    """The names of the living processes that do not know all these keys. A process may write
    several notes, each under a name of its own."""
    lacking = set()
    for name, note in notes.items():
        known = str(note.get(KEYS_MEMBER, ""))
        if known and float(note["at"]) >= since and not fingerprints <= set(known.split()):
            lacking.add(str(note.get("by", name)))
    return lacking
