"""The wheel holds every file of the packages: scripts for Redis too, and nothing besides."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_wheel_holds_every_file_of_the_packages(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    folders = [
        path for package in ("eagle_logger", "workers") for path in (ROOT / package).rglob("*")
    ]
    wanted = {
        str(path.relative_to(ROOT))
        for path in folders
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert held == wanted | {"beat_schedule.py"}
    assert any(name.endswith(".lua") for name in held)
