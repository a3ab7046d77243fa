"""What is decided before anything starts, from the environment and from what an earlier run left."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from eagle_logger import settings as settings_module
from eagle_logger.errors import ConfigurationError, NoSecretKey
from eagle_logger.users.cipher import new_key
from workers.up.preparation import prepare


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("EAGLE_")]:
        monkeypatch.delenv(name)
    # What `prepare` sets itself is taken back as well.
    monkeypatch.setenv("EAGLE_BRIDGE_PORT", "0")
    monkeypatch.setenv("EAGLE_BRIDGE_PROBE_PORT", "0")
    monkeypatch.setenv("EAGLE_FLOWER_PORT", "0")
    monkeypatch.setenv("NO_PROXY", "example.org")


def services(data: Path) -> dict[str, str]:
    return dict(json.loads((data / "services.json").read_text()))


def test_a_second_terminal_finds_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EAGLE_FETCH_QUEUES", "3")
    monkeypatch.setenv("EAGLE_TEST_CLOCK", "1767225600.25@360")
    here = prepare(tmp_path, 4).settings
    for name in (
        "EAGLE_FETCH_QUEUES",
        "EAGLE_TEST_CLOCK",
        "EAGLE_BRIDGE_PORT",
        "EAGLE_BRIDGE_PROBE_PORT",
        "EAGLE_FLOWER_PORT",
    ):
        monkeypatch.delenv(name)
    there = settings_module.load(tmp_path)
    assert there == here
    assert there.clock.origin == 1767225600.25
    assert there.rotate_open_every == 30
    assert there.secret_keys_file == tmp_path / "secret.keys"
    assert (tmp_path / "services.json").stat().st_mode & 0o777 == 0o600


def test_nothing_is_stale(tmp_path: Path) -> None:
    first = prepare(tmp_path, 4)
    assert first.simulators is not None
    later = prepare(tmp_path, None)
    assert later.simulators is None
    assert later.settings.relay_url.startswith("https://rainforestcloud.com")
    assert later.settings.archive_url is None
    assert later.settings.sns_topic_arns == ()
    assert later.settings.rotate_open_every is None
    assert later.settings.redis_url == first.settings.redis_url


def test_homes_leave_no_room_for_another_relay_or_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EAGLE_ARCHIVE_URL", "s3://mine/prefix")
    monkeypatch.setenv("EAGLE_RELAY_URL", "https://example.org/")
    with pytest.raises(ConfigurationError, match="unset EAGLE_RELAY_URL, EAGLE_ARCHIVE_URL"):
        prepare(tmp_path, 4)


def test_what_somebody_set_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EAGLE_REDIS_URL", "redis://redis.example.org:6379/0")
    monkeypatch.setenv("EAGLE_ROTATE_OPEN_EVERY", "7")
    monkeypatch.setenv("EAGLE_SECRET_KEYS", new_key())
    prepare(tmp_path, 4)
    assert not (tmp_path / "redis").exists()
    assert not (tmp_path / "secret.keys").exists()
    assert services(tmp_path)["rotate_open_every"] == "7.0"
    assert "secret_keys" not in services(tmp_path)


def test_a_port_that_was_asked_for_must_be_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("EAGLE_FLOWER_PORT", str(taken.getsockname()[1]))
        with pytest.raises(ConfigurationError, match=r"EAGLE_FLOWER_PORT: port \d+ of"):
            prepare(tmp_path, None)


def test_a_default_port_gives_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EAGLE_FLOWER_PORT")
    with socket.socket() as taken:
        try:
            taken.bind(("127.0.0.1", 5555))
            taken.listen()
        except OSError:
            pass  # somebody else has it: just as well
        prepare(tmp_path, None)
    assert services(tmp_path)["flower_port"] != "5555"


def test_loopback_is_not_asked_for_through_a_proxy(tmp_path: Path) -> None:
    assert prepare(tmp_path, 4).environment["NO_PROXY"] == "example.org,127.0.0.1,localhost"


def test_an_unsound_key_is_refused_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "secret.keys").write_text("\n")
    with pytest.raises((NoSecretKey, ConfigurationError)):
        prepare(tmp_path, None)
