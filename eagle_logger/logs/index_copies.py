"""What a log volume knows of the archive's index: a copy of each index object that its node wrote.

<root>/indexed/since                        the first hour that this node's index covers
<root>/indexed/2015-03-10-17/0123456789ab.0.jsonl.gz
                                            the index object of this name, verified in the archive
<root>/indexed/2015-03-10-17/state.json     which shards have nothing to index since, and since when
                                            parts wait for the index
<root>/indexed/2015-03-10-17/lacking        log files of this hour were deleted before their parts
                                            were indexed

A copy proves that the archive has the index object, as a receipt does for a part. A log file is
deleted once a copy names its part. Without the copies nothing is lost: the index objects are read
from the archive instead.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path

from eagle_logger.core.hours import Hour
from eagle_logger.core.paths import IndexKey, index_prefix
from eagle_logger.core.sealing import gunzipped
from eagle_logger.disk import crash_points
from eagle_logger.disk.atomic_files import UNFINISHED, create_file, replace_file
from eagle_logger.logs.disk_errors import disk_errors
from eagle_logger.logs.locking import lock_or_not

FOLDER = "indexed"
_SINCE = "since"
_STATE = "state.json"
_LACKING = "lacking"
_LOCK = "indexing"
_KEY_IN_LINE = re.compile(rb'^\{"key":"([^"\\]+)"', re.MULTILINE)
_SETTLED_AFTER_NS = 2_000_000_000
"""A folder that was changed more recently may change again without another time of change."""


@dataclass(frozen=True, slots=True)
class IndexState:
    """What need not be looked at again. `shards`: when a shard's folder was last changed before all
    of its receipts were found in the index. `complete`: an index object says that nothing of the
    hour waits. `unindexed_since`: when the first part was archived that no index object named in
    the last round (Unix seconds); None if every part was named."""

    shards: Mapping[str, int] = field(default_factory=dict)
    complete: bool = False
    unindexed_since: float | None = None


class IndexCopies:
    """The copies below `root` (settings.logs_dir). Blocking. What the operating system refuses is
    raised as DiskUnavailable."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = root / FOLDER

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Lock the copies against all other processes of this volume, and clear away what a killed
        one left. False if another process writes them."""
        with disk_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        with lock_or_not(self._folder / _LOCK) as is_ours:
            if is_ours:
                self._remove_unfinished()
            yield is_ours

    def since(self, now: Hour) -> Hour:
        """The first hour that this node's index covers: `now` if it has just begun, if nobody can
        tell, or if a wrong clock wrote an hour ahead of now."""
        path = self._folder / _SINCE
        with disk_errors(path):
            with suppress(FileNotFoundError, ValueError):
                since = Hour.parse(path.read_text("ascii").strip())
                if since <= now:
                    return since
            self._folder.mkdir(parents=True, exist_ok=True)
            replace_file(path, f"{now}\n".encode(), durable=True)
        return now

    def hours(self) -> list[Hour]:
        """The hours that have copies, oldest first."""
        hours = []
        with disk_errors(self._folder):
            for name in _names_in(self._folder):
                with suppress(ValueError):
                    hours.append(Hour.parse(name))
        return sorted(hours)

    def names(self, hour: Hour) -> list[IndexKey]:
        """The index objects of the hour of which there are copies, in order. They have another
        node's name if the volume was given a new one."""
        folder = self._folder / hour.name
        with disk_errors(folder):
            names = [_named(hour, file_name) for file_name in _names_in(folder)]
        return sorted(name for name in names if name is not None)

    def read(self, name: IndexKey) -> bytes | None:
        """None if there is no copy, or if it cannot be read."""
        with suppress(OSError):
            return self._path(name).read_bytes()
        return None

    def keep(self, name: IndexKey, body: bytes) -> None:
        """Keep a copy of an index object that was verified in the archive, durably. It replaces one
        that was damaged."""
        path = self._path(name)
        with disk_errors(path):
            if not path.parent.is_dir():
                path.parent.mkdir(parents=True, exist_ok=True)
            if not create_file(path, body) and path.read_bytes() != body:
                replace_file(path, body, durable=True)

    def keys_in(self, hour: Hour) -> frozenset[str]:
        """The keys that the copies of this hour name. A copy that cannot be read names none."""
        folder = self._folder / hour.name
        with suppress(OSError):
            copies = [folder / name for name in sorted(_names_in(folder)) if _named(hour, name)]
            return _keys_in(tuple((copy, copy.stat().st_mtime_ns) for copy in copies))
        return frozenset()

    def state(self, hour: Hour) -> IndexState:
        """What was noted last. Nothing, if that cannot be read: all is looked at then."""
        try:
            data = json.loads((self._folder / hour.name / _STATE).read_bytes())
            shards = {str(name): int(stamp) for name, stamp in data["shards"].items()}
            since = data.get("unindexed_since")
            return IndexState(
                shards, bool(data["complete"]), None if since is None else float(since)
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return IndexState()

    def note_state(self, hour: Hour, state: IndexState) -> None:
        """Note what need not be looked at again, and since when parts are not indexed."""
        path = self._folder / hour.name / _STATE
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, json.dumps(asdict(state)).encode(), durable=False)

    def note_deletion(self, hour: Hour) -> None:
        """Note, durably, that a log file of this hour is deleted although no index object names its
        part. This node's index then never calls the hour complete."""
        marker = self._folder / hour.name / _LACKING
        with disk_errors(marker):
            marker.parent.mkdir(parents=True, exist_ok=True)
            create_file(marker, b"")

    def lacks_parts(self, hour: Hour) -> bool:
        """Whether log files of this hour were deleted before their parts were indexed."""
        return (self._folder / hour.name / _LACKING).exists()

    def unindexed_hours(self) -> dict[Hour, float]:
        """The hours on this volume with archived parts that no index object named when the hour was
        last looked at, with the moment when the first of these parts was archived (Unix seconds).
        An hour without log files does not count: no later round can index it."""
        since = {
            hour: self.state(hour).unindexed_since
            for hour in self.hours()
            if (self._root / hour.name).is_dir()
        }
        return {hour: moment for hour, moment in since.items() if moment is not None}

    def shards_changed_at(self, hour: Hour) -> dict[str, int]:
        """When the folder of each shard of the hour was last changed (ns); 0 if that was so
        recent that it may change once more without a trace."""
        settled = time.time_ns() - _SETTLED_AFTER_NS
        stamps = {}
        folder = self._root / hour.name
        with disk_errors(folder):
            for name in _names_in(folder):
                with suppress(FileNotFoundError):
                    changed = (folder / name).stat().st_mtime_ns
                    stamps[name] = changed if changed < settled else 0
        return stamps

    def forget(self, hour: Hour) -> None:
        """Delete the copies of an hour."""
        folder = self._folder / hour.name
        with disk_errors(folder), suppress(FileNotFoundError):
            for name in _names_in(folder):
                crash_points.unlink(folder / name)
            crash_points.rmdir(folder)

    def _remove_unfinished(self) -> None:
        with disk_errors(self._folder):
            for folder in (self._folder, *(self._folder / hour.name for hour in self.hours())):
                for name in _names_in(folder):
                    if name.endswith(UNFINISHED):
                        crash_points.unlink(folder / name)

    def _path(self, name: IndexKey) -> Path:
        return self._folder / name.hour.name / name.key.rpartition("/")[2]


@lru_cache(4)
def _keys_in(copies: tuple[tuple[Path, int], ...]) -> frozenset[str]:
    # Deletion asks for every home, so the keys are cached until a copy is made or replaced, which
    # changes its time, and the lines are not parsed.
    keys: set[str] = set()
    for path, _changed_at in copies:
        with suppress(OSError, ValueError):
            lines = _KEY_IN_LINE.findall(gunzipped(path.read_bytes()))
            keys.update(key.decode("ascii", "replace") for key in lines)
    return frozenset(keys)


def _named(hour: Hour, file_name: str) -> IndexKey | None:
    """The index object of which this file is the copy; None if it is not a copy."""
    return IndexKey.parse(index_prefix(hour) + file_name)


def _names_in(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
