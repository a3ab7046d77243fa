"""The tutorial's last step draws a day from its table."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

from eagle_logger.archive.directory import DirectoryArchive
from tests.integration.tables.test_roll_up import build
from tests.support.day_of_homes import put_day
from tests.support.pages import ROOT, Page

SCRIPT = ROOT / "docs" / "tutorial" / "draw_a_day.py"


def test_the_tutorial_shows_the_script() -> None:
    with Page("docs/tutorial/first-hour.md", "python") as page:
        shown = page.next("import duckdb")
    text = SCRIPT.read_text()
    docstring = ast.get_docstring(ast.parse(text), clean=False)
    assert text == f'"""{docstring}"""\n\n{shown}'


def test_the_script_draws_a_day(tmp_path: Path) -> None:
    archive = DirectoryArchive(tmp_path / "data/s3/eagle-logger/archive")
    put_day(archive)
    build(archive, tmp_path)
    subprocess.run(
        [sys.executable, str(SCRIPT)],
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": "agg"},
        check=True,
        timeout=100,
    )
    picture = (tmp_path / "a-day.png").read_bytes()
    assert picture[:4] == b"\x89PNG"
    assert len(picture) > 10_000
