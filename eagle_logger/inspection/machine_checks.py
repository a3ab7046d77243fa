"""Checks this machine: its key, its disk, its programs, and the files that were set aside."""

from __future__ import annotations

import json
import os
import shutil
from itertools import islice
from pathlib import Path

from eagle_logger import wiring
from eagle_logger.core.hours import Hour
from eagle_logger.errors import EagleError
from eagle_logger.inspection.check_result import CheckResult
from eagle_logger.logs.quarantine import QUARANTINE, REASON
from eagle_logger.settings import GIVEN_UP_FILE, Settings

MOST_FILES_COUNTED = 1000
"""Of one folder."""
_MOST_HOMES_NAMED = 5
_LONGEST_REASON_SHOWN = 200
_REASON_BYTES_READ = 4096


def key_is_there(settings: Settings) -> CheckResult:
    try:
        wiring.cipher(settings)
    except EagleError as exc:
        return CheckResult.wrong("key", str(exc), "`eagle-logger keys generate` makes a key.")
    return CheckResult.ok("key", "passwords can be encrypted and decrypted")


def disk_has_room(settings: Settings) -> CheckResult:
    name, folder = "disk", _nearest_folder(settings.logs_dir)
    free = shutil.disk_usage(folder).free
    if not os.access(folder, os.W_OK | os.X_OK):
        advice = "Give this user the right to write there."
        return CheckResult.wrong(name, f"{folder} cannot be written", advice)
    found = f"{free / 1e9:.1f} GB free for {settings.logs_dir}"
    if free < settings.min_free_disk:
        advice = "Free some space: fetching has stopped (EAGLE_MIN_FREE_DISK)."
        return CheckResult.wrong(name, found, advice)
    return CheckResult.ok(name, found)


def node_takes_fetches(settings: Settings) -> CheckResult:
    if wiring.drain(settings).is_set():
        advice = "`eagle-logger drain --undo` puts it back to work."
        return CheckResult.look("node", "it is drained: nothing is fetched here", advice)
    return CheckResult.ok("node", "it takes fetches")


def programs_run(settings: Settings) -> CheckResult:
    """Check that no program of the `up` on this data directory keeps dying."""
    name, file = "programs", settings.data_dir / GIVEN_UP_FILE
    try:
        given_up = ", ".join(str(program) for program in json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        given_up = ""  # no `up` runs here, or the power failed while `up` wrote the file
    if not given_up:
        return CheckResult.ok(name, "none keeps dying")
    advice = f"Read its log in {settings.data_dir / 'run' / 'log'}. `up` starts it again by itself."
    return CheckResult.look(name, f"keeps dying: {given_up}", advice)


def nothing_is_in_quarantine(settings: Settings) -> CheckResult:
    """Check for files that rotation could not use. It set each aside with the reason beside it."""
    name, folder = "quarantine", settings.logs_dir / QUARANTINE
    files = [file for file in _files_in(folder) if not file.name.endswith(REASON)]
    if not files:
        return CheckResult.ok(name, "empty")
    newest = max(files, key=_written_at)
    reason = _beginning_of(newest.with_name(newest.name + REASON)).strip()[:_LONGEST_REASON_SHOWN]
    found = f"{_count(files)} files; the newest: {newest.name}: {reason or 'no reason beside it'}"
    advice = (
        f"Read the .reason beside each in {folder}. "
        "Move away what you have dealt with: it is the only copy."
    )
    return CheckResult.look(name, found, advice)


def nothing_was_unreadable_today(settings: Settings) -> CheckResult:
    """Check for replies that could not be read. Samples of them have been kept since midnight
    (UTC)."""
    name, folder = "samples", settings.data_dir / "samples" / Hour.of(settings.clock.now()).date
    files = _files_in(folder)
    if not files:
        return CheckResult.ok(name, "none today")
    homes = ", ".join(sorted(file.stem for file in files)[:_MOST_HOMES_NAMED])
    found = f"replies of {_count(files)} homes could not be read today: {homes}"
    advice = f"{folder} has what they sent, redacted. What was good in the same replies is logged."
    return CheckResult.look(name, found, advice)


def _files_in(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [
                Path(entry.path)
                for entry in islice(entries, MOST_FILES_COUNTED)
                if entry.is_file(follow_symlinks=False)
            ]
    except OSError:
        return []


def _count(files: list[Path]) -> str:
    return f"{MOST_FILES_COUNTED} or more" if len(files) >= MOST_FILES_COUNTED else str(len(files))


def _written_at(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _beginning_of(file: Path) -> str:
    try:
        with file.open(errors="replace") as opened:
            return opened.read(_REASON_BYTES_READ)
    except OSError:
        return ""


def _nearest_folder(path: Path) -> Path:
    return next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())
