"""The result of a rotation, also in words."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RotationResult:
    """The result of a rotation. `deferred` users were left for next time: it was time to stop, or
    the archive was away."""

    cloud_ids: tuple[str, ...] = ()
    """Users who had something to archive."""
    objects: int = 0
    rows: int = 0
    bytes: int = 0
    duplicates: int = 0
    """Lines left out because the same reading is in another line, here or in an earlier part."""
    conflicts: int = 0
    quarantined: int = 0
    """Lines that cannot be read. They are kept aside."""
    removed: int = 0
    """Log files deleted because their retention is over."""
    deferred: int = 0
    stuck: int = 0
    """Users whose hour failed for a reason of its own. Rotation tries it again after a pause."""
    busy: int = 0
    """Shards that another process rotates."""
    errors: dict[str, str] = field(default_factory=dict)
    """Error messages, by cloud id."""

    @property
    def users(self) -> int:
        return len(self.cloud_ids)

    def counts(self) -> dict[str, int]:
        """The counts that are not 0, by name."""
        names = [name for name in RotationResult.__slots__ if name not in {"cloud_ids", "errors"}]
        found = {
            "users": self.users,
            **{name: getattr(self, name) for name in names},
            "errors": len(self.errors),
        }
        return {name: count for name, count in found.items() if count}

    def __add__(self, other: RotationResult) -> RotationResult:
        names = [name for name in RotationResult.__slots__ if name != "errors"]
        sums = {name: getattr(self, name) + getattr(other, name) for name in names}
        return RotationResult(**sums, errors=self.errors | other.errors)

    def __str__(self) -> str:
        """In words: `12 users, 12 objects, 6000 rows, 3 duplicates dropped`."""
        if self.busy and not self.users:
            return "another process rotates it"
        always = [
            _counted(self.users, "user"),
            _counted(self.objects, "object"),
            _counted(self.rows, "row"),
        ]
        rare = (
            _counted(self.duplicates, "duplicate", "dropped"),
            _counted(self.conflicts, "conflict"),
            _counted(self.quarantined, "line", "kept aside"),
            _counted(self.removed, "file", "deleted"),
            _counted(self.deferred, "user", "deferred"),
            _counted(self.stuck, "user", "stuck"),
            _counted(len(self.errors), "user", "with errors"),
        )
        return ", ".join(always + [one for one in rare if not one.startswith("0 ")])


def _counted(number: int, thing: str, more: str = "") -> str:
    return f"{number} {thing}{'' if number == 1 else 's'} {more}".rstrip()
