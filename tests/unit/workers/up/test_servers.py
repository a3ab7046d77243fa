"""Which server `up` starts, and whose files it reads."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from eagle_logger.errors import ConfigurationError
from workers.up import servers
from workers.up.servers import (
    ServerKind,
    ServerRelease,
    find_server,
    identify_server,
    last_writer,
    version_note,
)


def fake_server(folder: Path, kind: str, version: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{kind}-server"
    answer = f"{kind.capitalize()} server v={version} sha=00000000:0 malloc=libc bits=64 build=0"
    path.write_text(f"#!/bin/sh\necho '{answer}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def nothing_bundled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "bundled_server", lambda: None)


def release(name: str) -> ServerRelease:
    kind, version = name.split()
    return ServerRelease(ServerKind(kind), tuple(int(part) for part in version.split(".")))


@pytest.mark.parametrize(
    ("server", "files", "reads"),
    [
        ("redis 7.0.15", "redis 7.0.15", True),
        ("redis 7.4.0", "redis 6.2.14", True),
        ("redis 6.2.14", "redis 7.0.15", False),
        ("valkey 9.1.2", "redis 6.2.14", True),
        ("valkey 8.1.4", "redis 7.2.5", True),
        ("valkey 9.1.2", "redis 7.4.0", False),
        ("valkey 9.1.2", "redis 8.2.1", False),
        ("valkey 9.1.2", "valkey 8.1.4", True),
        ("valkey 8.1.4", "valkey 9.1.2", False),
        ("redis 8.2.1", "valkey 9.1.2", False),
        ("redis 6.2.14", "valkey 7.2.8", False),
    ],
)
def test_a_server_reads_files_of_its_kind_and_valkey_those_of_old_redis(
    server: str, files: str, reads: bool
) -> None:
    assert release(server).can_read(release(files)) is reads


def test_servers_on_path_come_before_the_bundled_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis, valkey = (
        fake_server(tmp_path / "usr", "redis", "7.0.15"),
        fake_server(tmp_path / "local", "valkey", "8.1.4"),
    )
    bundled = fake_server(tmp_path / "package", "valkey", "9.1.2")
    monkeypatch.setattr(servers, "bundled_server", lambda: str(bundled))
    own = str(Path(sys.prefix) / "bin")
    both = os.pathsep.join([own, "", str(redis.parent), str(valkey.parent)])
    assert find_server(None, both).path == str(valkey)
    assert find_server(None, str(redis.parent)).path == str(redis)
    assert find_server(None, own).path == str(bundled)
    assert str(find_server(None, "")) == f"{bundled} (Valkey 9.1.2)"


def test_a_server_that_is_too_old_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_server(tmp_path / "usr", "redis", "6.0.16")
    bundled = fake_server(tmp_path / "package", "valkey", "9.1.2")
    monkeypatch.setattr(servers, "bundled_server", lambda: str(bundled))
    assert find_server(None, str(tmp_path / "usr")).path == str(bundled)


def test_the_first_server_that_reads_the_files_is_taken(
    tmp_path: Path, nothing_bundled: None
) -> None:
    valkey, redis = (
        fake_server(tmp_path / "bin", "valkey", "9.1.2"),
        fake_server(tmp_path / "bin", "redis", "8.2.1"),
    )
    for last, taken in (("redis 8.0.0\n", redis), ("valkey 9.0.1\n", valkey), ("7.0.15\n", valkey)):
        (tmp_path / "version").write_text(last)
        assert find_server(tmp_path, str(tmp_path / "bin")).path == str(taken)


def test_the_error_names_the_release_that_files_need(tmp_path: Path, nothing_bundled: None) -> None:
    fake_server(tmp_path / "bin", "valkey", "9.1.2")
    (tmp_path / "version").write_text("redis 8.2.1\n")
    with pytest.raises(ConfigurationError) as refused:
        find_server(tmp_path, str(tmp_path / "bin"))
    assert "was written by Redis 8.2.1, and no server found here reads that" in str(refused.value)
    assert "Put a redis-server 8.2.1 or newer on PATH, or set EAGLE_REDIS_URL" in str(refused.value)
    assert "(Valkey 9.1.2) cannot read the files of Redis 8.2.1" in str(refused.value)
    with pytest.raises(ConfigurationError, match="There is no server here at all"):
        find_server(tmp_path, "")


def test_a_server_older_than_its_files_is_refused(tmp_path: Path, nothing_bundled: None) -> None:
    fake_server(tmp_path / "bin", "redis", "6.2.9")
    (tmp_path / "version").write_text("7.0.15\n")  # the form of notes before Valkey existed
    with pytest.raises(
        ConfigurationError, match=r"written by Redis 7\.0\.15.*\n.*\(Redis 6\.2\.9\) cannot read"
    ):
        find_server(tmp_path, str(tmp_path / "bin"))


def test_without_any_server_the_error_says_how_to_get_one(nothing_bundled: None) -> None:
    with pytest.raises(ConfigurationError, match=r"EAGLE_REDIS_URL.*apt install valkey-server"):
        find_server(None, "")


def test_a_server_is_identified_by_its_version_line(tmp_path: Path) -> None:
    redis = identify_server(str(fake_server(tmp_path, "redis", "7.2.10")))
    assert redis.release == release("redis 7.2.10")
    valkey = identify_server(str(fake_server(tmp_path, "valkey", "8.1.4")))
    assert valkey.release == release("valkey 8.1.4")
    with pytest.raises(ConfigurationError, match=r"\(Redis 6\.0\.16\) is too old: 6\.2 or newer"):
        identify_server(str(fake_server(tmp_path, "redis", "6.0.16")))
    with pytest.raises(ConfigurationError, match="does not say"):
        identify_server("/bin/echo")
    with pytest.raises(ConfigurationError, match="does not run"):
        identify_server(str(tmp_path / "nowhere"))


def test_the_note_names_the_last_server_that_wrote(tmp_path: Path) -> None:
    assert last_writer(tmp_path) is None
    (tmp_path / "version").write_text(version_note(release("valkey 9.1.2")))
    assert last_writer(tmp_path) == release("valkey 9.1.2")
    (tmp_path / "version").write_text("dragonfly\n")
    with pytest.raises(ConfigurationError, match="does not say which server wrote the files"):
        last_writer(tmp_path)
    (tmp_path / "version").write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        last_writer(tmp_path)


def test_a_server_that_would_not_see_files_without_a_note_is_refused(
    tmp_path: Path, nothing_bundled: None
) -> None:
    """Redis before 7.0 looks for one file, so it would start empty beside a directory full of
    users."""
    fake_server(tmp_path / "bin", "redis", "6.2.14")
    (tmp_path / "appendonlydir").mkdir()
    with pytest.raises(ConfigurationError, match=r"Redis 6\.2\.14\) cannot read"):
        find_server(tmp_path, str(tmp_path / "bin"))


def test_this_environment_has_a_bundled_valkey() -> None:
    bundled = servers.bundled_server()
    assert bundled is not None
    assert identify_server(bundled).release.kind == ServerKind.VALKEY
