"""The result of a rotation, also in words."""

from __future__ import annotations

from dataclasses import dataclass, field, fields


@dataclass(frozen=True, slots=True)
class RotationResult:
    """What a rotation did. The results of its shards can be added."""

    cloud_ids: tuple[str, ...] = ()
    """Users who had something to archive."""
    objects: int = 0
    rows: int = 0
    bytes: int = 0
    duplicates: int = 0
    """Lines left out because the same reading is in another line, here or in an earlier part."""
    conflicts: int = 0
    """Lines whose identity has another value in another line."""
    quarantined: int = 0
    """Lines that cannot be read. They are kept aside."""
    removed: int = 0
    """Log files deleted because their retention is over."""
    removed_unindexed: int = 0
    """Those of them whose part no index object names, because the index could not be written for a
    day."""
    deferred: int = 0
    """Users left for next time: it was time to stop, or the archive was away."""
    stuck: int = 0
    """Users whose hour failed for a reason of its own. Rotation tries it again after a pause."""
    busy: int = 0
    """Shards that another process rotates."""
    errors: dict[str, str] = field(default_factory=dict)
    """Error messages, by cloud id, or by hour and shard."""

    @property
    def users(self) -> int:
        return len(self.cloud_ids)

    def counts(self) -> dict[str, int]:
        """The counts that are not 0, by name."""
        numbers = {
            member.name: getattr(self, member.name)
            for member in fields(self)
            if member.name not in {"cloud_ids", "errors"}
        }
        counts = {"users": self.users, **numbers, "errors": len(self.errors)}
        return {name: count for name, count in counts.items() if count}

    def __add__(self, other: RotationResult) -> RotationResult:
        sums = {
            member.name: getattr(self, member.name) + getattr(other, member.name)
            for member in fields(self)
            if member.name != "errors"
        }
        return RotationResult(**sums, errors=self.errors | other.errors)

    def __str__(self) -> str:
        """In words: `12 users, 12 objects, 6000 rows, 3 duplicates dropped`."""
        if self.busy and not self.users:
            return "another process rotates it"
        words = [
            _counted(self.users, "user"),
            _counted(self.objects, "object"),
            _counted(self.rows, "row"),
        ]
        rare = (
            (self.duplicates, "duplicate", "dropped"),
            (self.conflicts, "conflict", ""),
            (self.quarantined, "line", "kept aside"),
            (self.removed, "file", "deleted"),
            (self.removed_unindexed, "deleted file", "that no index object names"),
            (self.deferred, "user", "deferred"),
            (self.stuck, "user", "stuck"),
            (len(self.errors), "user", "with errors"),
        )
        words += [_counted(number, thing, more) for number, thing, more in rare if number]
        return ", ".join(words)


def _counted(number: int, thing: str, more: str = "") -> str:
    return f"{number} {thing}{'' if number == 1 else 's'} {more}".rstrip()
