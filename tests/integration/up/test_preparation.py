"""What `up` decides before it starts anything, from the environment and from what an earlier run
left."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from eagle_logger.errors import ConfigurationError, NoSecretKey
from eagle_logger.settings import load
from eagle_logger.users.cipher import new_key
from workers.up.preparation import prepare


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("EAGLE_")]:
        monkeypatch.delenv(name)
    # Set here so that the fixture also takes back what `prepare` sets.
    monkeypatch.setenv("EAGLE_BRIDGE_PORT", "0")
    monkeypatch.setenv("EAGLE_BRIDGE_PROBE_PORT", "0")
    monkeypatch.setenv("EAGLE_FLOWER_PORT", "0")
    monkeypatch.setenv("NO_PROXY", "example.org")


def services(data: Path) -> dict[str, str]:
    return dict(json.loads((data / "services.json").read_text()))


def test_a_second_terminal_loads_the_same_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EAGLE_FETCH_QUEUES", "3")
    monkeypatch.setenv("EAGLE_TEST_CLOCK", "1767225600.25@360")
    prepared = prepare(tmp_path, 4).settings
    for name in (
        "EAGLE_FETCH_QUEUES",
        "EAGLE_TEST_CLOCK",
        "EAGLE_BRIDGE_PORT",
        "EAGLE_BRIDGE_PROBE_PORT",
        "EAGLE_FLOWER_PORT",
    ):
        monkeypatch.delenv(name)
    loaded = load(tmp_path)
    assert loaded == prepared
    assert loaded.clock.origin == 1767225600.25
    assert loaded.rotate_open_every == 30
    assert loaded.secret_keys_file == tmp_path / "secret.keys"
    assert (tmp_path / "services.json").stat().st_mode & 0o777 == 0o600


def test_settings_of_an_earlier_run_with_homes_do_not_stay(tmp_path: Path) -> None:
    first = prepare(tmp_path, 4)
    assert first.simulators is not None
    later = prepare(tmp_path, None)
    assert later.simulators is None
    assert later.settings.relay_url.startswith("https://rainforestcloud.com")
    assert later.settings.archive_url is None
    assert later.settings.sns_topic_arns == ()
    assert later.settings.rotate_open_every is None
    assert later.settings.redis_url == first.settings.redis_url


def test_homes_and_a_relay_or_archive_of_ones_own_contradict_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EAGLE_ARCHIVE_URL", "s3://mine/prefix")
    monkeypatch.setenv("EAGLE_RELAY_URL", "https://example.org/")
    with pytest.raises(ConfigurationError, match="unset EAGLE_RELAY_URL, EAGLE_ARCHIVE_URL"):
        prepare(tmp_path, 4)


def test_settings_from_the_environment_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EAGLE_REDIS_URL", "redis://redis.example.org:6379/0")
    monkeypatch.setenv("EAGLE_ROTATE_OPEN_EVERY", "7")
    monkeypatch.setenv("EAGLE_SECRET_KEYS", new_key())
    prepare(tmp_path, 4)
    assert not (tmp_path / "redis").exists()
    assert not (tmp_path / "secret.keys").exists()
    assert services(tmp_path)["rotate_open_every"] == "7.0"
    assert "secret_keys" not in services(tmp_path)


def test_a_port_that_the_environment_names_must_be_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("EAGLE_FLOWER_PORT", str(taken.getsockname()[1]))
        with pytest.raises(ConfigurationError, match=r"EAGLE_FLOWER_PORT: port \d+ of"):
            prepare(tmp_path, None)


def test_another_port_is_chosen_if_the_default_one_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EAGLE_FLOWER_PORT")
    with socket.socket() as taken:
        try:
            taken.bind(("127.0.0.1", 5555))
            taken.listen()
        except OSError:
            pass  # another program has the port, which serves this test as well
        prepare(tmp_path, None)
    assert services(tmp_path)["flower_port"] != "5555"


def test_loopback_is_not_reached_through_a_proxy(tmp_path: Path) -> None:
    assert prepare(tmp_path, 4).environment["NO_PROXY"] == "example.org,127.0.0.1,localhost"


def test_an_unsound_key_is_refused_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "secret.keys").write_text("\n")
    with pytest.raises((NoSecretKey, ConfigurationError)):
        prepare(tmp_path, None)
