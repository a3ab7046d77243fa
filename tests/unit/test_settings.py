from __future__ import annotations

import stat
from pathlib import Path

import pytest

from eagle_logger import settings
from eagle_logger.core.kinds import Kind
from eagle_logger.errors import ConfigurationError
from eagle_logger.users.cipher import new_key
from tests.support.certificates import Authority


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in settings.Settings.model_fields:
        monkeypatch.delenv(f"EAGLE_{name.upper()}", raising=False)


def test_every_mistake_is_listed_at_once_by_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistakes = {
        "EAGLE_DEMAND_INTERVAL": "0",
        "EAGLE_ROTATE_GRACE": "soon",
        "EAGLE_LEASE": "5",
        "EAGLE_ARCHIVE_URL": "ftp://nowhere",
        "EAGLE_SHRADS": "16",
    }
    for name, value in mistakes.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as wrong:
        settings.load(tmp_path)
    assert all(name in str(wrong.value) for name in mistakes)
    assert "did you mean EAGLE_SHARDS?" in str(wrong.value)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("EAGLE_REDIS_URL", "redis://:swordfish@127.0.0.1:six/0", "is no URL"),
        ("EAGLE_REDIS_URL", "redis://:swordfish@127.0.0.1:70000/0", "is no URL"),
        ("EAGLE_BROKER_URL", "redis://:swordfish@[::1/0", "is no URL"),
        (
            "EAGLE_REDIS_URL",
            "redis://:swordfish@127.0.0.1:6379/0?health_check_interval=30",
            "only db is taken",
        ),
        ("EAGLE_BROKER_URL", "sentinel://:swordfish@127.0.0.1:26379/0", "not supported"),
        ("EAGLE_REDIS_CA", "/nowhere/ca.pem", "there is no file"),
        ("EAGLE_RELAY_URL", "http://[::1", "is no URL"),
        ("EAGLE_RELAY_URL", "https:/relay/cgi-bin", "names no host"),
        ("EAGLE_ARCHIVE_URL", "s3:///prefix", "names no bucket"),
        ("EAGLE_ARCHIVE_URL", "file://archive", "file:///directory"),
        ("EAGLE_RELAY_CA", "/nowhere/ca.pem", "there is no file"),
        (
            "EAGLE_SNS_TOPIC_ARNS",
            "arn:aws:sns:us-east-1:123456789012:fetch,foo",
            "'foo' is not the ARN",
        ),
        ("EAGLE_SECRET_KEYS", "swordfish,swordfish", "key 2 of 2 is not a Fernet key"),
        (
            "EAGLE_TRUSTED_PROXIES",
            "10.0.0.0/8,proxy",
            "'proxy' is neither an address nor a network",
        ),
        ("EAGLE_AWS_ACCESS_KEY_ID", "swordfish", "set both or neither"),
        ("EAGLE_DEMAND_INTERVAL", "inf", "finite"),
        ("EAGLE_LOCAL_RETENTION", "nan", "finite"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("EAGLE_SHARDS", "0")
    monkeypatch.setenv("EAGLE_TEST_CLOCK", "1790000000@360")
    with pytest.raises(ConfigurationError) as wrong:
        settings.load(tmp_path)
    lines = str(wrong.value).splitlines()
    assert [line for line in lines if line.startswith(name) and said in line]
    assert [line for line in lines if line.startswith("EAGLE_SHARDS")]
    assert "swordfish" not in str(wrong.value)


def test_certificates_that_are_none_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    monkeypatch.setenv("EAGLE_RELAY_CA", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("EAGLE_LEASE", "3")
    with pytest.raises(
        ConfigurationError,
        match=r"(?s)EAGLE_LEASE.*EAGLE_RELAY_CA: .*ca.pem cannot be read as certificates",
    ):
        settings.load(tmp_path)


def test_a_blank_path_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EAGLE_RELAY_CA", "")
    monkeypatch.setenv("EAGLE_SECRET_KEYS_FILE", " ")
    found = settings.load(tmp_path)
    assert (found.relay_ca, found.secret_keys_file) == (None, None)


def test_a_data_directory_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(ConfigurationError, match=r"EAGLE_DATA_DIR: .* is not a directory"):
        settings.load(tmp_path / "data")


@pytest.mark.parametrize(
    ("text", "seconds"), [("600", 600), ("10m", 600), ("1.5h", 5400), ("2d", 172_800), ("30s", 30)]
)
def test_durations_may_carry_a_unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, seconds: float
) -> None:
    monkeypatch.setenv("EAGLE_ROTATE_GRACE", text)
    assert settings.load(tmp_path).rotate_grace == seconds


def test_what_up_wrote_is_found_there_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.write_services(
        tmp_path, {"redis_url": "redis://127.0.0.1:7001/0", "bridge_port": "9000"}
    )
    monkeypatch.setenv("EAGLE_BRIDGE_PORT", "9001")
    found = settings.load(tmp_path)
    assert (found.redis_url, found.bridge_port) == ("redis://127.0.0.1:7001/0", 9001)


def test_only_the_owner_reads_what_up_wrote(tmp_path: Path) -> None:
    settings.write_services(tmp_path, {"redis_url": "redis://:not-a-real-one@127.0.0.1:7001/0"})
    assert stat.S_IMODE((tmp_path / settings.SERVICES_FILE).stat().st_mode) == 0o600


def test_a_broken_services_file_is_named(tmp_path: Path) -> None:
    (tmp_path / settings.SERVICES_FILE).write_text("{")
    with pytest.raises(ConfigurationError, match=r"services\.json"):
        settings.load(tmp_path)


def test_the_brokers_database_is_another_than_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings.load(tmp_path).broker.endswith("/1")
    monkeypatch.setenv("EAGLE_REDIS_URL", "redis://h:1/1")
    assert settings.load(tmp_path).broker == "redis://h:1/0"
    monkeypatch.setenv("EAGLE_REDIS_URL", "redis://h?db=3")
    assert settings.load(tmp_path).broker == "redis://h:6379/1"
    monkeypatch.setenv("EAGLE_REDIS_URL", "unix:///run/redis.sock")
    assert settings.load(tmp_path).broker == "unix:///run/redis.sock?db=1"


@pytest.mark.parametrize(
    "other", ["redis://h:6379/3", "redis://h?db=3", "redis://:word@h/3", "rediss://h/3"]
)
def test_the_broker_must_not_use_the_users_database_in_any_spelling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    monkeypatch.setenv("EAGLE_REDIS_URL", "redis://h/3")
    monkeypatch.setenv("EAGLE_BROKER_URL", other)
    with pytest.raises(ConfigurationError, match="EAGLE_BROKER_URL"):
        settings.load(tmp_path)


def test_an_authority_of_ones_own_goes_with_both_addresses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text(Authority().pem.decode())
    monkeypatch.setenv("EAGLE_REDIS_URL", "rediss://h/0")
    monkeypatch.setenv("EAGLE_REDIS_CA", str(bundle))
    found = settings.load(tmp_path)
    assert found.redis_address.tls_options["ssl_ca_certs"] == str(bundle)
    assert found.broker_address.tls_options["ssl_ca_certs"] == str(bundle)


@pytest.mark.parametrize(
    "name", ["CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL"]
)
def test_celerys_own_variables_would_lead_celery_alone_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "redis://elsewhere")
    with pytest.raises(ConfigurationError, match=f"{name}.*EAGLE_BROKER_URL"):
        settings.load(tmp_path)


def test_an_accelerated_clock_needs_a_relay_on_loopback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EAGLE_TEST_CLOCK", "1790000000@360")
    with pytest.raises(ConfigurationError, match="loopback"):
        settings.load(tmp_path)
    monkeypatch.setenv("EAGLE_RELAY_URL", "http://127.0.0.1:9445/cgi-bin/post_manager")
    assert settings.load(tmp_path).clock.speed == 360


def test_secrets_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = new_key()
    monkeypatch.setenv("EAGLE_SECRET_KEYS", key)
    for name in ("API_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"EAGLE_{name}", "nobody" if name.endswith("ID") else "swordfish")
    monkeypatch.setenv("EAGLE_REDIS_URL", "redis://:swordfish@127.0.0.1:6379/0")
    monkeypatch.setenv("EAGLE_BROKER_URL", "redis://:swordfish@127.0.0.1:6379/1")
    found = settings.load(tmp_path)
    assert "swordfish" not in repr(found)
    assert key not in repr(found)
    assert str(found.redis_address) == "redis://:***@127.0.0.1:6379/0"


def test_the_cadence_covers_every_kind(tmp_path: Path) -> None:
    assert set(settings.load(tmp_path).intervals) == set(Kind)


def test_a_setting_may_stand_in_a_file_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "EAGLE_REDIS_URL").write_text("redis://:abc@redis:6379/0\n")
    (secrets / "EAGLE_API_TOKEN").write_text("from a file\n")
    (secrets / "something_else").write_text("nobody's setting\n")
    settings.write_services(tmp_path, {"redis_url": "redis://127.0.0.1:1/0"})
    monkeypatch.setenv("EAGLE_SECRETS_DIR", str(secrets))
    monkeypatch.setenv("EAGLE_API_TOKEN", "from the environment")
    found = settings.load(tmp_path)
    assert found.redis_url == "redis://:abc@redis:6379/0"
    assert found.api_token is not None
    assert found.api_token.get_secret_value() == "from the environment"


def test_a_mistake_in_such_a_file_is_named_without_what_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "EAGLE_REDIS_URL").write_text("http://:abc@redis")
    monkeypatch.setenv("EAGLE_SECRETS_DIR", str(tmp_path))
    with pytest.raises(
        ConfigurationError, match=r"^EAGLE_REDIS_URL must begin with redis://"
    ) as wrong:
        settings.load(tmp_path)
    assert "abc" not in str(wrong.value)


def test_a_directory_of_secrets_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EAGLE_SECRETS_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigurationError, match="EAGLE_SECRETS_DIR"):
        settings.load(tmp_path)
