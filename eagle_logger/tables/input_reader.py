"""Reads archived objects for day tables: each one whole, and exactly what the index says."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from eagle_logger.archive.archive import Archive
from eagle_logger.core.paths import shard_name, shard_of
from eagle_logger.core.sealing import LARGEST_HOUR, gunzipped
from eagle_logger.core.table_plan import TableInput
from eagle_logger.errors import ArchiveUnavailable, Unreadable
from eagle_logger.logs.folder import LogFolder

_GZIP = b"\x1f\x8b"
_THREADS = 8
"""Objects that are fetched at once: that is mostly waiting."""
_OBJECTS_AHEAD = 100
"""Objects that are fetched and not yet read, whatever the index says of their rows."""
_MOST_FAILURES = 10
"""Objects in a row that the archive does not give. After these, it is the archive that is away."""
_ROWS_AHEAD = 60_000
"""Rows of objects that are fetched and not yet read: 20 MB of lines at most, besides one object."""


@dataclass(frozen=True, slots=True)
class ReadInput:
    """An object's lines, or why it cannot be used."""

    key: str
    item: TableInput
    """What the index says of the object, and what is so if it can be used."""
    plain: bytes = b""
    unusable: str | None = None


class InputReader:
    """Reads the sealed log file of this volume if there is one with the same lines, else the
    object. With no `folder`, it reads objects only."""

    def __init__(self, archive: Archive, folder: LogFolder | None = None, shards: int = 1) -> None:
        self._archive = archive
        self._folder = folder
        self._shards = shards

    def read_each(self, wanted: Iterable[Sequence[TableInput]]) -> Iterator[ReadInput]:
        """The objects in this order, some of them fetched ahead. Each is given as what the index
        says of it: one thing, or several that differ. Raises ArchiveUnavailable if the archive
        gives none of several objects."""
        ahead: deque[tuple[Sequence[TableInput], Future[bytes]]] = deque()
        rows_ahead = failures = 0
        source = iter(wanted)
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="tables") as pool:
            try:
                while True:
                    while not ahead or (rows_ahead < _ROWS_AHEAD and len(ahead) < _OBJECTS_AHEAD):
                        said = next(source, None)
                        if said is None:
                            break
                        ahead.append((said, pool.submit(self._stored_bytes, said)))
                        rows_ahead += said[0].rows
                    if not ahead:
                        return
                    said, future = ahead.popleft()
                    rows_ahead -= said[0].rows
                    error = future.exception()
                    failures = failures + 1 if isinstance(error, ArchiveUnavailable) else 0
                    if error is not None and failures >= _MOST_FAILURES:
                        raise error
                    yield _checked(said, future)
            finally:
                for _, future in ahead:
                    future.cancel()

    def _stored_bytes(self, said: Sequence[TableInput]) -> bytes:
        """The plain lines of the local file, or the object's bytes."""
        for item in said:
            plain = self._local_lines(item)
            if plain is not None:
                return plain
        return self._archive.get(said[0].key)

    def _local_lines(self, item: TableInput) -> bytes | None:
        if self._folder is None:
            return None
        shard = shard_name(shard_of(item.cloud_id, self._shards))
        path = self._folder.sealed_path(item.cloud_id, item.hour, shard, item.part + 1)
        return _bytes_with_digest(path, item.plain_sha256)


def _bytes_with_digest(path: Path, digest: str) -> bytes | None:
    try:
        with path.open("rb") as file:
            plain = file.read(LARGEST_HOUR + 1)
    except OSError:
        return None
    return plain if hashlib.sha256(plain).hexdigest() == digest else None


def _checked(said: Sequence[TableInput], future: Future[bytes]) -> ReadInput:
    key = said[0].key
    try:
        body = future.result()
        plain = gunzipped(body) if body[:2] == _GZIP else body
    except KeyError:
        return ReadInput(key, said[0], unusable="the index names it, and there is no such object")
    except ArchiveUnavailable as exc:
        return ReadInput(key, said[0], unusable=f"the archive does not give it: {exc}")
    except (Unreadable, ValueError) as exc:
        return ReadInput(key, said[0], unusable=f"it cannot be read: {exc}")
    digest, rows = hashlib.sha256(plain).hexdigest(), plain.count(b"\n")
    for item in said:
        if item.plain_sha256 == digest and item.rows == rows:
            return ReadInput(key, item, plain)
    return ReadInput(
        key,
        said[0],
        unusable=f"it has {rows} lines of digest {digest[:12]}…, and the index says "
        f"{said[0].rows} of {said[0].plain_sha256[:12]}…",
    )
