"""An archive in a directory, with the same keys as in S3, for people without a bucket.

Objects are files under their key, so `**/*.jsonl.gz` finds exactly them (the index too). The
metadata of an object lies apart, under `.metadata/<key>.<SHA-256 of the object>.json`. The name has
the object's digest, because two processes may write one key at once, each with its metadata;
otherwise one could put its metadata beside the other's bytes. Unfinished files are in `.incoming`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from eagle_logger.archive.archive import NOT_USABLE, ObjectInfo
from eagle_logger.core.sealing import LARGEST_OBJECT, why_larger, why_too_large
from eagle_logger.core.table_names import ensure_deletable
from eagle_logger.disk import crash_points
from eagle_logger.disk.atomic_files import (
    make_directories,
    open_new,
    sync_directory,
    write_new_file,
)
from eagle_logger.errors import AlreadyThere, ArchiveUnavailable, NoConditionalWrites, Unreadable

_NO_OBJECT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
_INCOMING = ".incoming"
_METADATA = ".metadata"
_UNFINISHED_KEPT_S = 86400.0
"""After this, a file in `.incoming` counts as left by a process that died."""
_CANNOT_LINK = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EXDEV})
"""The errors of link(2) on a file system without hard links, and across a mount point below the
directory."""


class DirectoryArchive:
    """Needs a file system with hard links: link(2) never replaces a file."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    @property
    def url(self) -> str:
        return self._root.as_uri()

    def put(self, key: str, body: bytes, metadata: Mapping[str, str]) -> None:
        with self._unavailable_on_error():
            digest = hashlib.sha256(body).hexdigest()
            self._put(key, digest, metadata, lambda path: write_new_file(path, body))

    def put_file(self, key: str, path: Path, metadata: Mapping[str, str]) -> None:
        with self._unavailable_on_error():
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            self._put(key, digest, metadata, lambda incoming: _copy(path, incoming))

    def head(self, key: str) -> ObjectInfo | None:
        with self._unavailable_on_error():
            try:
                with self._path(key).open("rb") as file:
                    digest, size = hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
            except _NO_OBJECT:
                return None
        return ObjectInfo(size, digest, self._metadata(key, digest))

    def get(self, key: str) -> bytes:
        with self._unavailable_on_error():
            try:
                with self._path(key).open("rb") as file:
                    body = file.read(LARGEST_OBJECT + 1)
            except _NO_OBJECT:
                raise KeyError(key) from None
        if why := why_too_large(len(body)):
            raise Unreadable(why)
        return body

    def get_file(self, key: str, path: Path, largest: int) -> None:
        source = self._path(key)
        with self._unavailable_on_error():
            try:
                size = source.stat().st_size
                if why := why_larger(size, largest):
                    raise Unreadable(why)
                with source.open("rb") as stored, path.open("xb") as file:
                    shutil.copyfileobj(stored, file)
            except _NO_OBJECT:
                raise KeyError(key) from None

    def delete(self, key: str) -> None:
        ensure_deletable(key)
        path = self._path(key)
        described = self._root / _METADATA / key
        with self._unavailable_on_error():
            with contextlib.suppress(FileNotFoundError):
                crash_points.unlink(path)
                sync_directory(path.parent)
            for metadata in described.parent.glob(f"{described.name}.*.json"):
                if _is_metadata_of(described.name, metadata.name):
                    metadata.unlink(missing_ok=True)

    def keys(self, prefix: str = "") -> Iterator[str]:
        folder, _, _ = prefix.rpartition("/")
        with self._unavailable_on_error():
            yield from (key for key in self._below(folder) if key.startswith(prefix))

    def ping(self) -> None:
        """Prove that objects can be stored: make the directory, and a file in it."""
        with self._unavailable_on_error():
            self._write_incoming(b"").unlink()
            self._delete_unfinished()

    def prove(self) -> None:
        """Link two files under one name in `.incoming`, and leave nothing behind."""
        with self._unavailable_on_error():
            first, second = self._write_incoming(b"first"), self._write_incoming(b"second")
            name = first.with_name(f"{first.name}.proof")
            try:
                self._link(first, name)
                try:
                    self._link(second, name)
                except FileExistsError:
                    is_replaced = name.read_bytes() != b"first"
                else:
                    is_replaced = True
                if is_replaced:
                    raise NoConditionalWrites(
                        f"{NOT_USABLE}: in {self.url} a link replaces the file of its name"
                    )
            finally:
                for path in (first, second, name):
                    path.unlink(missing_ok=True)

    def _put(
        self,
        key: str,
        digest: str,
        metadata: Mapping[str, str],
        write_to: Callable[[Path], None],
    ) -> None:
        target = self._path(key)
        if target.exists():
            # The process that wrote it may have died before its name was durable, and the caller
            # relies on the name from now on.
            sync_directory(target.parent)
            raise AlreadyThere
        description = json.dumps(metadata).encode()
        self._create(
            self._metadata_path(key, digest), lambda path: write_new_file(path, description)
        )
        if not self._create(target, write_to):
            raise AlreadyThere

    def _path(self, key: str) -> Path:
        parts = key.split("/")
        if any(not part or part.startswith(".") for part in parts):
            raise ValueError(f"not a key for a directory: {key!r}")
        return self._root.joinpath(*parts)

    def _metadata_path(self, key: str, digest: str) -> Path:
        return self._root / _METADATA / f"{key}.{digest}.json"

    def _metadata(self, key: str, digest: str) -> dict[str, str]:
        try:
            members = json.loads(self._metadata_path(key, digest).read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        if not isinstance(members, dict):
            return {}
        return {str(name): str(value) for name, value in members.items()}

    def _create(self, target: Path, write_to: Callable[[Path], None]) -> bool:
        """Create a file with the content that `write_to` writes. Returns False if `target` exists;
        its name is durable then, too."""
        if not target.parent.is_dir():
            make_directories(target.parent)
        temporary = self._incoming_path()
        write_to(temporary)
        try:
            self._link(temporary, target)
        except FileExistsError:
            return False
        finally:
            temporary.unlink()
            sync_directory(target.parent)
        return True

    def _link(self, source: Path, target: Path) -> None:
        """Raises FileExistsError if `target` exists, NoConditionalWrites if the file system cannot
        link."""
        try:
            os.link(source, target)
        except OSError as exc:
            if exc.errno in _CANNOT_LINK:
                raise NoConditionalWrites(
                    f"{NOT_USABLE}: the file system of {self.url} cannot link files "
                    f"({exc.strerror})"
                ) from exc
            raise

    def _write_incoming(self, body: bytes) -> Path:
        path = self._incoming_path()
        write_new_file(path, body)
        return path

    def _incoming_path(self) -> Path:
        incoming = self._root / _INCOMING
        incoming.mkdir(parents=True, exist_ok=True)
        return incoming / uuid.uuid4().hex

    def _below(self, folder: str) -> Iterator[str]:
        try:
            entries = list(os.scandir(self._root / folder))
        except (FileNotFoundError, NotADirectoryError):
            return
        start = f"{folder}/" if folder else ""
        # A folder's name ends with "/", so that folders and files are sorted as their keys are.
        names = [
            entry.name + ("/" if entry.is_dir() else "")
            for entry in entries
            if not entry.name.startswith(".")
        ]
        for name in sorted(names, key=os.fsencode):
            if name.endswith("/"):
                yield from self._below(start + name[:-1])
            else:
                yield start + name

    def _delete_unfinished(self) -> None:
        for entry in os.scandir(self._root / _INCOMING):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - entry.stat().st_mtime > _UNFINISHED_KEPT_S:
                    Path(entry).unlink()

    @contextlib.contextmanager
    def _unavailable_on_error(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise ArchiveUnavailable(
                f"the archive {self.url} failed ({exc.strerror or exc}): "
                "make the directory writable and give it space"
            ) from exc


def _copy(source: Path, target: Path) -> None:
    """Copy a file durably, but for its name."""
    with source.open("rb") as content, os.fdopen(open_new(target), "wb") as file:
        shutil.copyfileobj(content, file)
        file.flush()
        crash_points.fsync(file.fileno())


def _is_metadata_of(object_name: str, file_name: str) -> bool:
    return len(file_name) == len(f"{object_name}.{'0' * 64}.json")
