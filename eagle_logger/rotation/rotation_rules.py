"""One user's files of an hour, and what rotation may do with them at a moment."""

from __future__ import annotations

from dataclasses import dataclass, field

from eagle_logger.core.hours import Hour
from eagle_logger.core.index_plan import may_be_deleted_unindexed
from eagle_logger.core.rotation_plan import (
    is_complete,
    is_current,
    may_be_deleted,
    may_be_tried,
)
from eagle_logger.logs.folder import LogFile, LogFolder, SealedFile, StuckUserHour
from eagle_logger.logs.index_copies import IndexCopies


@dataclass(slots=True)
class UserHour:
    """One user's files of an hour on this disk. Rotation keeps it up to date while it works."""

    cloud_id: str
    hour: Hour
    shard: str
    open_files: list[LogFile] = field(default_factory=list)
    sealed_files: list[SealedFile] = field(default_factory=list)
    stuck: StuckUserHour | None = None
    """The note that rotation of this hour failed for a reason of its own."""

    @property
    def unarchived_files(self) -> list[SealedFile]:
        return [file for file in self.sealed_files if file.receipt is None]

    @property
    def archived_files(self) -> list[SealedFile]:
        return [file for file in self.sealed_files if file.receipt is not None]


@dataclass(frozen=True, slots=True)
class RotationRules:
    """When the files of a log volume are sealed, archived and deleted, at the moment `now`.

    `now` is in the system's clock, `grace` and `retention` are seconds. With `include_open`, hours
    are archived before they are complete. With `heed_pauses`, a stuck hour is left out until its
    pause is over.
    """

    folder: LogFolder
    now: float
    grace: float
    retention: float
    include_open: bool = False
    heed_pauses: bool = True

    def user_hours(self, hour: Hour, shard: str) -> list[UserHour]:
        """The shard's users in order of cloud id; those whose hour is stuck come last."""
        by_user: dict[str, UserHour] = {}

        def hour_of(cloud_id: str) -> UserHour:
            return by_user.setdefault(cloud_id, UserHour(cloud_id, hour, shard))

        for open_file in self.folder.open_files(hour, shard):
            hour_of(open_file.cloud_id).open_files.append(open_file)
        for sealed_file in self.folder.sealed_files(hour, shard):
            hour_of(sealed_file.cloud_id).sealed_files.append(sealed_file)
        for cloud_id, note in self.folder.stuck_in(hour, shard).items():
            if cloud_id in by_user:
                by_user[cloud_id].stuck = note
        return sorted(by_user.values(), key=lambda user: (user.stuck is not None, user.cloud_id))

    def is_paused(self, user_hour: UserHour) -> bool:
        """Whether this user's hour is stuck, and it is not time to try it again."""
        note = user_hour.stuck
        if note is None or not self.heed_pauses:
            return False
        return not may_be_tried(note.tried_at, note.tries, self.now)

    def has_work(self, user_hour: UserHour) -> bool:
        return self.has_to_archive(user_hour) or bool(self.expired_files(user_hour))

    def has_to_archive(self, user_hour: UserHour) -> bool:
        if self.is_paused(user_hour):
            return False
        return bool(user_hour.unarchived_files) or any(
            map(self.is_to_be_sealed, user_hour.open_files)
        )

    def is_to_be_sealed(self, file: LogFile) -> bool:
        if self.include_open:
            return True
        if is_current(file.hour, self.grace, self.now):
            return False
        try:
            first_arrival = self.folder.first_arrival(file)
        except OSError:
            return True  # sealing reports why it cannot be read
        return first_arrival is not None and is_complete(
            file.hour, first_arrival, self.grace, self.now
        )

    def expired_files(self, user_hour: UserHour) -> list[SealedFile]:
        """The files that were kept long enough. None while a file of the hour is not archived:
        until then the others show what the hour's parts hold, even if the archive cannot be read.

        A file whose part the index does not name yet is kept a day longer at most: the index is
        made from the receipts.
        """
        if user_hour.open_files or user_hour.unarchived_files:
            return []
        expired = [file for file in user_hour.sealed_files if self._is_expired(file)]
        return [
            file
            for file in expired
            if self.is_indexed(file) or self._has_waited_long_for_the_index(file)
        ]

    def is_indexed(self, file: SealedFile) -> bool:
        """Whether index objects name all parts that this file's receipt names."""
        keys = file.receipt.keys if file.receipt is not None else frozenset()
        return not keys or keys <= self.index_copies.keys_in(file.hour)

    @property
    def index_copies(self) -> IndexCopies:
        """What this volume knows of the archive's index."""
        return IndexCopies(self.folder.root)

    def _is_expired(self, file: SealedFile) -> bool:
        return file.receipt is not None and may_be_deleted(
            file.hour, file.receipt.archived_at, self.retention, self.now
        )

    def _has_waited_long_for_the_index(self, file: SealedFile) -> bool:
        return file.receipt is not None and may_be_deleted_unindexed(
            file.hour, file.receipt.archived_at, self.retention, self.now
        )
