"""What can go wrong, split by what the caller does about it.

    EagleError
    ├── Transient              try again later; nothing is wrong with the user
    │   ├── RelayUnavailable       no usable answer from the relay or gateway (carries retry_after)
    │   ├── RedisUnavailable
    │   ├── ArchiveUnavailable
    │   │   ├── ArchiveDamages         it stores other bytes than it was sent: try again much later
    │   │   └── NoConditionalWrites    it replaces objects: put and delete nothing until it stops
    │   └── DiskUnavailable        full, read-only or failing: fetching stops until it is repaired
    ├── Permanent              trying again cannot help
    │   ├── Refused                the relay refuses the credentials or the cloud id: park the user
    │   ├── Unreadable             a reply, line or object that cannot be understood
    │   ├── OnlyProblems           replies that hold no usable reading
    │   ├── UnknownUser
    │   ├── BadCloudId
    │   ├── AlreadyThere           an archive key is taken
    │   ├── TableDamaged           a day table is not what its plan says: delete it, make it again
    │   └── NotAccepted            an object the archive will never take
    └── ConfigurationError     exit 2 and say which setting
        ├── TablesNotInstalled     pyarrow is missing
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
        """One of a small fixed set, because it becomes a metric's label: timed_out, connection,
        empty, busy, http_5xx …"""
        self.retry_after = retry_after
        """Seconds that the relay asked to wait, if it did."""


class RedisUnavailable(Transient):
    """Redis does not answer. Start it, or correct EAGLE_REDIS_URL."""


class ArchiveUnavailable(Transient):
    """The archive did not take or return an object. Rotation tries again, and deletes nothing
    until then."""


class ArchiveDamages(ArchiveUnavailable):
    """The archive stores other bytes than it was sent. Rotation tries the user's hour again after
    a pause."""


class NoConditionalWrites(ArchiveUnavailable):
    """The store has no conditional writes and cannot be used. Upgrade it, or name another in
    EAGLE_ARCHIVE_URL."""


class DiskUnavailable(Transient):
    """The log volume cannot be written. Free some space or repair it; fetching resumes by
    itself."""


class Refused(Permanent):
    """The relay refuses this user. Correct the password or the cloud id with `eagle-logger users
    add`."""


class Unreadable(Permanent):
    """These bytes cannot be understood; a redacted sample of them is kept."""


class OnlyProblems(Permanent):
    """The gateway answered, but its replies hold no usable reading. `samples/` has what it sent."""


class UnknownUser(Permanent):
    """There is no such user. `eagle-logger users list` shows all users; `eagle-logger users add`
    adds one."""


class BadCloudId(Permanent):
    """A cloud id is 6 hex digits, leading zeroes included, such as 00ce69."""


class AlreadyThere(Permanent):
    """The archive holds an object under this key."""


class TableDamaged(Permanent):
    """A day table is not what its plan says. Delete the day's tables with `eagle-logger tables
    remove --date`, and build them again; no reading is lost."""


class NotAccepted(Permanent):
    """The archive will never take this object; its file is quarantined, never deleted."""


class ConfigurationError(EagleError):
    """A setting makes no sense."""


class TablesNotInstalled(ConfigurationError):
    """Day tables need pyarrow, which is not installed: `pip install 'eagle-logger[tables]'`."""


class NoSecretKey(ConfigurationError):
    """EAGLE_SECRET_KEYS is not set, so passwords can be neither read nor written. Set it (or
    EAGLE_SECRET_KEYS_FILE); `eagle-logger keys generate` makes a key."""


class KeyNotKnown(ConfigurationError):
    """A running process does not know the first key in EAGLE_SECRET_KEYS. Restart it, then try
    again."""


class DataDirectoryBusy(ConfigurationError):
    """Another `eagle-logger up` runs on this data directory. Stop it, or name another with
    --data."""
