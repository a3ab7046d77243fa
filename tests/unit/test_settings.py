"""Where settings come from, and what is wrong with those that cannot be used."""

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


def test_all_mistakes_are_listed_by_variable(
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
    with pytest.raises(ConfigurationError) as error:
        settings.load(tmp_path)
    assert all(name in str(error.value) for name in mistakes)
    assert "did you mean EAGLE_SHARDS?" in str(error.value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
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
def test_the_error_about_a_bad_value_names_the_variable_and_not_the_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("EAGLE_SHARDS", "0")
    monkeypatch.setenv("EAGLE_TEST_CLOCK", "1790000000@360")
    with pytest.raises(ConfigurationError) as error:
        settings.load(tmp_path)
    lines = str(error.value).splitlines()
    assert [line for line in lines if line.startswith(name) and message in line]
    assert [line for line in lines if line.startswith("EAGLE_SHARDS")]
    assert "swordfish" not in str(error.value)


def test_a_ca_bundle_without_a_certificate_is_refused(
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


def test_a_blank_path_counts_as_unset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EAGLE_RELAY_CA", "")
    monkeypatch.setenv("EAGLE_SECRET_KEYS_FILE", " ")
    loaded = settings.load(tmp_path)
    assert (loaded.relay_ca, loaded.secret_keys_file) == (None, None)


def test_a_data_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
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


def test_the_environment_wins_over_the_services_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.write_services(
        tmp_path, {"redis_url": "redis://127.0.0.1:7001/0", "bridge_port": "9000"}
    )
    monkeypatch.setenv("EAGLE_BRIDGE_PORT", "9001")
    loaded = settings.load(tmp_path)
    assert (loaded.redis_url, loaded.bridge_port) == ("redis://127.0.0.1:7001/0", 9001)


def test_only_the_owner_may_read_the_services_file(tmp_path: Path) -> None:
    settings.write_services(tmp_path, {"redis_url": "redis://:not-a-real-one@127.0.0.1:7001/0"})
    assert stat.S_IMODE((tmp_path / settings.SERVICES_FILE).stat().st_mode) == 0o600


def test_the_error_about_a_broken_services_file_names_it(tmp_path: Path) -> None:
    (tmp_path / settings.SERVICES_FILE).write_text("{")
    with pytest.raises(ConfigurationError, match=r"services\.json"):
        settings.load(tmp_path)


def test_the_broker_uses_another_database_than_the_users(
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


def test_a_private_certificate_authority_is_trusted_for_users_and_broker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text(Authority().pem.decode())
    monkeypatch.setenv("EAGLE_REDIS_URL", "rediss://h/0")
    monkeypatch.setenv("EAGLE_REDIS_CA", str(bundle))
    loaded = settings.load(tmp_path)
    assert loaded.redis_address.tls_options["ssl_ca_certs"] == str(bundle)
    assert loaded.broker_address.tls_options["ssl_ca_certs"] == str(bundle)


@pytest.mark.parametrize(
    "name", ["CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL"]
)
def test_celerys_own_variables_are_refused_because_only_celery_follows_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "redis://elsewhere")
    with pytest.raises(ConfigurationError, match=f"{name}.*EAGLE_BROKER_URL"):
        settings.load(tmp_path)


def test_an_accelerated_clock_is_refused_unless_the_relay_is_on_loopback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EAGLE_TEST_CLOCK", "1790000000@360")
    with pytest.raises(ConfigurationError, match="loopback"):
        settings.load(tmp_path)
    monkeypatch.setenv("EAGLE_RELAY_URL", "http://127.0.0.1:9445/cgi-bin/post_manager")
    assert settings.load(tmp_path).clock.speed == 360


def test_the_repr_shows_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = new_key()
    monkeypatch.setenv("EAGLE_SECRET_KEYS", key)
    for name in ("API_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"EAGLE_{name}", "nobody" if name.endswith("ID") else "swordfish")
    monkeypatch.setenv("EAGLE_REDIS_URL", "redis://:swordfish@127.0.0.1:6379/0")
    monkeypatch.setenv("EAGLE_BROKER_URL", "redis://:swordfish@127.0.0.1:6379/1")
    loaded = settings.load(tmp_path)
    assert "swordfish" not in repr(loaded)
    assert key not in repr(loaded)
    assert str(loaded.redis_address) == "redis://:***@127.0.0.1:6379/0"


def test_every_kind_has_an_interval(tmp_path: Path) -> None:
    assert set(settings.load(tmp_path).intervals) == set(Kind)


def test_a_setting_can_come_from_a_file_in_the_secrets_directory(
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
    loaded = settings.load(tmp_path)
    assert loaded.redis_url == "redis://:abc@redis:6379/0"
    assert loaded.api_token is not None
    assert loaded.api_token.get_secret_value() == "from the environment"


def test_the_error_about_a_bad_value_in_a_secrets_file_does_not_show_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "EAGLE_REDIS_URL").write_text("http://:abc@redis")
    monkeypatch.setenv("EAGLE_SECRETS_DIR", str(tmp_path))
    with pytest.raises(
        ConfigurationError, match=r"^EAGLE_REDIS_URL must begin with redis://"
    ) as error:
        settings.load(tmp_path)
    assert "abc" not in str(error.value)


def test_a_secrets_directory_that_does_not_exist_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EAGLE_SECRETS_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigurationError, match="EAGLE_SECRETS_DIR"):
        settings.load(tmp_path)
