"""Checks this machine: its key, disk, programs, and the files that were put aside."""

from __future__ import annotations

import json
import os
import shutil
from itertools import islice
from pathlib import Path

from eagle_logger import wiring
from eagle_logger.core.hours import Hour
from eagle_logger.errors import EagleError
from eagle_logger.inspection.finding import CheckResult, look, ok, wrong
from eagle_logger.logs.quarantine import FOLDER, REASON
from eagle_logger.settings import GIVEN_UP_FILE, Settings

MOST_COUNTED = 1000
"""Files of a folder that are counted."""


def key_is_there(settings: Settings) -> CheckResult:
    try:
        wiring.cipher(settings)
    except EagleError as exc:
        return wrong("key", found=str(exc), advice="`eagle-logger keys generate` makes a key.")
    return ok("key", found="passwords can be encrypted and decrypted")


def disk_has_room(settings: Settings) -> CheckResult:
    folder = _nearest_folder(settings.logs_dir)
    free = shutil.disk_usage(folder).free
    found = f"{free / 1e9:.1f} GB free for {settings.logs_dir}"
    if not os.access(folder, os.W_OK | os.X_OK):
        return wrong(
            "disk",
            found=f"{folder} cannot be written",
            advice="Give this user the right to write there.",
        )
    if free < settings.min_free_disk:
        return wrong(
            "disk",
            found=found,
            advice="Free some space: fetching has stopped (EAGLE_MIN_FREE_DISK).",
        )
    return ok("disk", found=found)


def node_takes_fetches(settings: Settings) -> CheckResult:
    if wiring.drain(settings).is_asked():
        advice = "`eagle-logger drain --undo` puts it back to work."
        return look("node", found="it is drained: nothing is fetched here", advice=advice)
    return ok("node", found="it takes fetches")


def programs_run(settings: Settings) -> CheckResult:
    """Check that no program of the `up` on this data directory keeps dying."""
    file = settings.data_dir / GIVEN_UP_FILE
    try:
        given_up = ", ".join(str(name) for name in json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        given_up = ""  # no `up` runs here, or the power failed while `up` wrote the file
    if not given_up:
        return ok("programs", found="none keeps dying")
    advice = f"Read its log in {settings.data_dir / 'run' / 'log'}. `up` starts it again by itself."
    return look("programs", found=f"keeps dying: {given_up}", advice=advice)


def nothing_is_in_quarantine(settings: Settings) -> CheckResult:
    """Files that rotation could not use, and put aside with the reason beside them."""
    name, folder = "quarantine", settings.logs_dir / FOLDER
    files = [file for file in _files(folder) if not file.name.endswith(REASON)]
    if not files:
        return ok(name, "empty")
    newest = max(files, key=_written)
    why = _text(newest.with_name(newest.name + REASON)).strip()[:200]
    advice = f"Read the .reason beside each in {folder}. Move away what you have dealt with: it is the only copy."
    return look(
        name,
        f"{_count(files)} files; the newest: {newest.name}: {why or 'no reason beside it'}",
        advice,
    )


def nothing_was_unreadable_today(settings: Settings) -> CheckResult:
    """Unreadable replies of which samples were kept since midnight (UTC)."""
    name, folder = "samples", settings.data_dir / "samples" / Hour.of(settings.clock.now()).date
    files = _files(folder)
    if not files:
        return ok(name, "none today")
    homes = ", ".join(sorted(file.stem for file in files)[:5])
    advice = f"{folder} has what they sent, redacted. What was good in the same replies is logged."
    return look(name, f"replies of {_count(files)} homes could not be read today: {homes}", advice)


def _files(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as found:
            return [
                Path(entry.path)
                for entry in islice(found, MOST_COUNTED)
                if entry.is_file(follow_symlinks=False)
            ]
    except OSError:
        return []


def _count(files: list[Path]) -> str:
    return f"{MOST_COUNTED} or more" if len(files) >= MOST_COUNTED else str(len(files))


def _written(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _text(file: Path) -> str:
    try:
        with file.open(errors="replace") as opened:
            return opened.read(4096)
    except OSError:
        return ""


def _nearest_folder(path: Path) -> Path:
    return next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())
