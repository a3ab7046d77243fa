"""The first service of the compose file, on folders in the place of its volumes."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from eagle_logger.users.cipher import new_key
from tests.support.programs import environment_with, run_to_end

ROOT = Path(__file__).parents[3]

HANDED_OUT = {
    "worker": {"EAGLE_REDIS_URL", "EAGLE_SECRET_KEYS"},
    "bridge": {"EAGLE_REDIS_URL", "EAGLE_SECRET_KEYS", "EAGLE_API_TOKEN"},
    "redis-only": {"EAGLE_REDIS_URL"},
    "flower": {"EAGLE_REDIS_URL", "flower_password"},
    "grafana": {"flower_password"},
}


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    for name in (
        "secrets",
        "redis",
        "data",
        "redis-data",
        "handed-out",
        *(f"handed-out/{volume}" for volume in HANDED_OUT),
    ):
        (tmp_path / name).mkdir()
    return tmp_path


def init(volumes: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    places = {
        "EAGLE_SECRETS_DIR": str(volumes / "secrets"),
        "EAGLE_DATA_DIR": str(volumes / "data"),
        "REDIS_CONFIG_DIR": str(volumes / "redis"),
        "REDIS_DATA_DIR": str(volumes / "redis-data"),
        "HANDED_OUT_DIR": str(volumes / "handed-out"),
    }
    command = [sys.executable, str(ROOT / "docker" / "init.py")]
    return run_to_end(command, env=environment_with(**places, **settings))


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_secrets_are_made_once_for_their_owners_eyes_only_and_then_kept(volumes: Path) -> None:
    first = init(volumes)
    assert first.returncode == 0, first.stderr
    made = contents(volumes)
    assert set(made) == {
        *(
            f"secrets/{name}"
            for name in (
                "EAGLE_SECRET_KEYS",
                "EAGLE_API_TOKEN",
                "EAGLE_REDIS_URL",
                "redis_password",
                "flower_password",
            )
        ),
        "redis/password",
        "redis/redis.conf",
        *(f"handed-out/{volume}/{name}" for volume, names in HANDED_OUT.items() for name in names),
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in volumes.rglob("*") if path.is_file()} == {
        0o600
    }
    assert init(volumes).returncode == 0
    assert contents(volumes) == made


def test_a_changed_password_of_redis_reaches_the_url_and_the_servers_configuration(
    volumes: Path,
) -> None:
    init(volumes)
    (volumes / "secrets" / "redis_password").write_text("an/other@one\n")
    assert init(volumes).returncode == 0
    made = contents(volumes)
    assert made["secrets/EAGLE_REDIS_URL"] == "redis://:an%2Fother%40one@redis:6379/0\n"
    assert made["redis/password"] == "an/other@one\n"
    assert made["redis/redis.conf"].endswith("requirepass an/other@one\n")


def test_all_mistakes_in_the_settings_are_named_at_once(volumes: Path) -> None:
    done = init(
        volumes,
        EAGLE_SHARDS="many",
        EAGLE_LEASE="3",
        EAGLE_ARCHIV_URL="s3://bucket",
        EAGLE_SECRET_KEYS=f"{new_key()},swordfish",
        EAGLE_AWS_ACCESS_KEY_ID="an-id",
        COMPOSE_PROFILES="monitoring,sqs",
    )
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    for name in (
        "SHARDS",
        "LEASE (3 s)",
        "ARCHIV_URL",
        "SECRET_KEYS: key 2 of 2",
        "AWS_ACCESS_KEY_ID",
        "SQS_QUEUE_URL",
    ):
        assert any(line.startswith(f"EAGLE_{name}") for line in lines), name
    assert "correct .env" in lines[-1]
    assert "swordfish" not in done.stderr
    assert "Traceback" not in done.stderr


def test_the_sqs_profile_with_a_queue_is_no_mistake(volumes: Path) -> None:
    queue = "https://sqs.us-east-1.amazonaws.com/123456789012/fetch"
    assert init(volumes, COMPOSE_PROFILES="sqs", EAGLE_SQS_QUEUE_URL=queue).returncode == 0


def test_a_changed_or_added_secret_is_handed_to_the_services_that_need_it(volumes: Path) -> None:
    init(volumes)
    (volumes / "secrets" / "EAGLE_API_TOKEN").write_text("another\n")
    (volumes / "secrets" / "redis-ca.pem").write_text("an authority\n")
    (volumes / "handed-out" / "flower" / "EAGLE_SECRET_KEYS").write_text("it was there before\n")
    assert init(volumes).returncode == 0
    made = contents(volumes / "handed-out")
    assert {name for name, text in made.items() if text == "another\n"} == {
        "bridge/EAGLE_API_TOKEN"
    }
    assert {name.split("/")[0] for name in made if name.endswith(".pem")} == set(HANDED_OUT) - {
        "grafana"
    }
    assert "flower/EAGLE_SECRET_KEYS" not in made
    (volumes / "secrets" / "redis-ca.pem").unlink()
    init(volumes)
    assert not any(name.endswith(".pem") for name in contents(volumes / "handed-out"))


@pytest.mark.parametrize(
    ("image", "header", "refused"),
    [
        ("valkey/valkey:8.1-alpine", b"REDIS0012", "written by Redis 7.4 or newer"),
        ("valkey/valkey:8.1-alpine", b"REDIS0011", None),
        ("redis:8.2-alpine", b"VALKEY080", "written by Valkey 9 or newer"),
        ("redis:8.2-alpine", b"REDIS0012", None),
        ("valkey/valkey:9.1-alpine", b"VALKEY080", None),
        ("valkey/valkey:8.1-alpine", b"", None),
    ],
)
def test_an_image_that_cannot_read_the_volume_is_refused_with_advice(
    volumes: Path, image: str, header: bytes, refused: str | None
) -> None:
    base = volumes / "redis-data" / "appendonlydir" / "appendonly.aof.1.base.rdb"
    base.parent.mkdir()
    base.write_bytes(header + b"\xfa\x09redis-ver")
    done = init(volumes, REDIS_IMAGE=image)
    assert done.returncode == (2 if refused else 0), done.stderr
    assert (refused or "") in done.stderr


def test_the_former_setting_publish_on_is_refused(volumes: Path) -> None:
    done = init(volumes, PUBLISH_ON="0.0.0.0")
    assert done.returncode == 2
    assert "BRIDGE_PUBLISH_ON" in done.stderr
