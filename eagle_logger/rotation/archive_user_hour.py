"""What one user's hour goes through: seal ▶ order, drop duplicates ▶ gzip ▶ put ▶ verify ▶ receipt.

Every step may be repeated after a crash between any two. A file without a receipt is worked on
again from its beginning. The archive never replaces an object, and the same lines give the same
bytes, so an object that was stored before the crash is recognised.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import structlog

from eagle_logger.archive.archive import Archive
from eagle_logger.core.sealing import LARGEST_HOUR, PartContent
from eagle_logger.errors import NotAccepted
from eagle_logger.logs.folder import LogFolder, Receipt, SealedFile
from eagle_logger.rotation.archive_parts import Archived, HourParts
from eagle_logger.rotation.rotation_result import RotationResult
from eagle_logger.rotation.rotation_rules import RotationRules, UserHour

_log = structlog.get_logger("eagle_logger.rotation")

_MOST_REASONS_KEPT = 20
"""Unreadable lines of a file whose reasons are written beside them."""


def archive_user_hour(
    rules: RotationRules, archive: Archive, user_hour: UserHour
) -> Iterator[RotationResult]:
    """Seal and archive what is complete, and yield what was done after each file. `user_hour` is
    kept up to date, so a second try continues where the first one failed."""
    _seal_complete_files(rules, user_hour)
    _split_large_files(rules.folder, user_hour)
    waiting = user_hour.unarchived_files
    if not waiting:
        return
    yield RotationResult(cloud_ids=(user_hour.cloud_id,))
    parts = HourParts(archive, user_hour.cloud_id, user_hour.hour)
    parts.recall(user_hour.archived_files)
    for file in waiting:
        result, archived_file = _archive_file(rules, parts, file)
        user_hour.sealed_files.remove(file)
        if archived_file is not None:
            user_hour.sealed_files.append(archived_file)
        yield result


def _seal_complete_files(rules: RotationRules, user_hour: UserHour) -> None:
    for open_file in [file for file in user_hour.open_files if rules.is_to_be_sealed(file)]:
        sealed_file = rules.folder.seal(open_file)
        user_hour.open_files.remove(open_file)
        if sealed_file is not None:
            user_hour.sealed_files.append(sealed_file)


def _split_large_files(folder: LogFolder, user_hour: UserHour) -> None:
    """Replace each file that is larger than any that is written today by several. Each becomes a
    part: the memory that archiving needs depends on the largest file."""
    for file in user_hour.unarchived_files:
        if file.path.stat().st_size <= LARGEST_HOUR:
            continue
        pieces = folder.split(file, LARGEST_HOUR)
        names = [piece.path.name for piece in pieces]
        _log.warning("large_file_split", file=file.path.name, pieces=names)
        position = user_hour.sealed_files.index(file)
        user_hour.sealed_files[position : position + 1] = pieces


def _archive_file(
    rules: RotationRules, parts: HourParts, file: SealedFile
) -> tuple[RotationResult, SealedFile | None]:
    """The result, and the file with its receipt; None if the file was set aside."""
    content = PartContent(file.path.read_bytes(), file.cloud_id)
    if content.unreadable:
        _keep_aside(rules.folder, file, content.unreadable)
    try:
        archived = parts.add(content)
    except NotAccepted as exc:
        rules.folder.set_aside(file, str(exc))
        lines = len(content.lines) + len(content.unreadable)
        return RotationResult(quarantined=lines, errors={file.cloud_id: str(exc)}), None
    archived_file = rules.folder.write_receipt(file, _receipt(file, archived, rules.now))
    result = RotationResult(
        objects=archived.number is not None,
        rows=archived.part.rows,
        bytes=archived.size,
        duplicates=archived.part.duplicates + archived.part.archived,
        conflicts=archived.part.conflicts,
        quarantined=len(content.unreadable),
    )
    return result, archived_file


def _keep_aside(folder: LogFolder, file: SealedFile, unreadable: list[tuple[bytes, str]]) -> None:
    _log.warning("unreadable_lines", file=file.path.name, lines=len(unreadable))
    lines = b"".join(line + b"\n" for line, _ in unreadable)
    reasons = [f"{len(line)} bytes: {reason}" for line, reason in unreadable[:_MOST_REASONS_KEPT]]
    folder.quarantine(file.path.name, lines, "\n".join(reasons))


def _receipt(file: SealedFile, archived: Archived, now: float) -> Receipt:
    part = archived.part
    return Receipt(
        cloud_id=file.cloud_id,
        hour=file.hour,
        part=archived.number,
        key=archived.key,
        rows=part.rows,
        first=_unix(part.first),
        last=_unix(part.last),
        sha256_lines=part.digest,
        sha256_object=archived.sha256,
        size=archived.size,
        archived_at=now,
        found=archived.found,
    )


def _unix(time: str) -> int | None:
    return int(datetime.fromisoformat(time).timestamp()) if time else None
