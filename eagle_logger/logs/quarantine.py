"""What cannot be used is kept aside, with the reason beside it. It is never deleted or
overwritten."""

from __future__ import annotations

import hashlib
from pathlib import Path

from eagle_logger.disk.atomic_files import create_file, make_directories

QUARANTINE = "quarantine"
REASON = ".reason"


def keep_aside(root: Path, name: str, content: bytes, reason: str) -> Path:
    """Keep `content` durably under `<root>/quarantine/`, and return where. The file is named `name`
    and a digest of the content, so the same content is kept once. Raises OSError."""
    folder = root / QUARANTINE
    path = folder / f"{name.replace('/', '_')}.{hashlib.sha256(content).hexdigest()[:16]}"
    if not path.exists():
        make_directories(folder)
        create_file(path.with_name(path.name + REASON), f"{reason}\n".encode("utf-8", "replace"))
        create_file(path, content)
    return path
