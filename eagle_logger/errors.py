"""What can go wrong, split by what the caller does about it.

    EagleError
    ├── Transient              try again later; nothing is wrong with the user
    │   ├── RelayUnavailable       the relay or the gateway did not answer usefully (carries retry_after)
    │   ├── RedisUnavailable
    │   ├── ArchiveUnavailable
    │   │   ├── ArchiveDamages         it stores other bytes than it was sent: no second try at once
    │   │   └── NoConditionalWrites    it replaces objects: until it stops, nothing is put and nothing deleted
    │   └── DiskUnavailable        full, read-only or failing: fetching stops until it is well again
    ├── Permanent              trying again cannot help
    │   ├── Refused                the relay refuses the credentials or the cloud id: park the user
    │   ├── Unreadable             a reply, line or object that cannot be understood
    │   ├── UnknownUser
    │   ├── BadCloudId
    │   ├── AlreadyThere           an archive key is taken
    │   └── NotAccepted            an object the archive will never take
    └── ConfigurationError     exit 2 and say which setting
        ├── NoSecretKey
        ├── KeyNotKnown            a running process does not know the key to encrypt with
        └── DataDirectoryBusy

A class's docstring is its default message: it says what to do.
"""

from __future__ import annotations


class EagleError(Exception):
    """Something went wrong in eagle_logger."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or " ".join((self.__doc__ or "").split()))


class Transient(EagleError):
    """It did not work this time; it will be tried again."""


class Permanent(EagleError):
    """It cannot work, however often it is tried."""


class RelayUnavailable(Transient):
    """The relay or the gateway gave no usable answer; the user is asked again later."""

    def __init__(
        self,
        message: str | None = None,
        *,
        reason: str = "unavailable",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        """One of a small fixed set of words, fit for a metric's label: timed_out, connection,
        empty, busy, http_5xx …"""
        self.retry_after = retry_after
        """Seconds the relay asked us to wait, if it did."""


class RedisUnavailable(Transient):
    """Redis does not answer. Start it, or correct EAGLE_REDIS_URL."""


class ArchiveUnavailable(Transient):
    """The archive did not take or give an object; rotation tries again, nothing is deleted
    meanwhile."""


class ArchiveDamages(ArchiveUnavailable):
    """The archive stores other bytes than it was sent. Rotation leaves the user's hour alone for a
    while."""


class NoConditionalWrites(ArchiveUnavailable):
    """The store has no conditional writes and cannot be used. Upgrade it, or name another in
    EAGLE_ARCHIVE_URL."""


class DiskUnavailable(Transient):
    """The log volume cannot be written. Free some space or repair it; fetching resumes by itself."""


class Refused(Permanent):
    """The relay refuses this user. Correct the password or the cloud id with `eagle-logger users
    add`."""


class Unreadable(Permanent):
    """These bytes cannot be understood; a redacted sample of them is kept."""


class OnlyProblems(Permanent):
    """The gateway answered, and nothing in its replies could be used. `samples/` has what it sent."""


class UnknownUser(Permanent):
    """There is no such user. `eagle-logger users list` shows who there is; `eagle-logger users add`
    adds one."""


class BadCloudId(Permanent):
    """A cloud id is 6 hex digits, leading zeroes included, such as 00ce69."""


class AlreadyThere(Permanent):
    """The archive holds an object under this key."""


class NotAccepted(Permanent):
    """The archive will never take this object; its file is quarantined, never deleted."""


class ConfigurationError(EagleError):
    """A setting makes no sense."""


class NoSecretKey(ConfigurationError):
    """EAGLE_SECRET_KEYS is not set, so passwords can be neither read nor written. Set it (or
    EAGLE_SECRET_KEYS_FILE); `eagle-logger keys generate` makes a key."""


class KeyNotKnown(ConfigurationError):
    """A running process does not know the first key in EAGLE_SECRET_KEYS. Restart it, then try
    again."""


class DataDirectoryBusy(ConfigurationError):
    """Another `eagle-logger up` runs on this data directory. Stop it, or name another with --data."""
