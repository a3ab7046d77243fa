"""`tests.support.leaks`, which other tests rely on, finds secrets in every spelling."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support import leaks

SECRET = 'one & "two"/é'

SPELLINGS = {
    "as it is": SECRET.encode(),
    "in JSON": json.dumps({"pw": SECRET}).encode(),
    "in XML": b"<Password>one &amp; &quot;two&quot;/\xc3\xa9</Password>",
    "in a URL": quote(SECRET, safe="").encode(),
    **{
        f"in base64, {before} bytes in": base64.b64encode(b"x" * before + SECRET.encode() + b"end")
        for before in range(5)
    },
}


@pytest.mark.parametrize(
    "content", [pytest.param(content, id=name) for name, content in SPELLINGS.items()]
)
def test_a_secret_is_found_in_every_spelling(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "log").write_bytes(b"before " + content + b" after")
    (tmp_path / "part.gz").write_bytes(gzip.compress(content))
    (tmp_path / "may-hold-it").write_bytes(content)
    leaked = list(leaks.shown({"the password": SECRET}, leaks.files(tmp_path, but={"may-hold-it"})))
    assert leaked == ["the password shows in log", "the password shows in part.gz, unpacked"]


def test_a_part_of_a_secret_is_not_reported(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"one & two")
    assert list(leaks.shown({"the password": SECRET}, leaks.files(tmp_path))) == []
